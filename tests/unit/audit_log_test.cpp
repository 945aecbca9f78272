// The audit log while it is written, on a disk in memory: what a guard tells it, failures of every call,
// deaths at every call, a queue that is full, several threads.

#include <paidonce/audit/audit_log.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <paidonce/audit/verify.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/stores/memory.hpp>
#include <paidonce/testing/manual_clock.hpp>
#include "support/catch.hpp"
#include "support/disk_files.hpp"
#include "support/faulty_files.hpp"
#include "support/sanitizer.hpp"

using namespace paidonce;
using support::Disk;
using support::DiskFiles;
using support::FaultPlan;
using support::FaultyFiles;
using support::FileCall;
using support::FileFault;
using support::Loss;
using support::Machine;

namespace {

/// One process' calls, and a gate that its writes may have to wait at.
class GatedFiles : public FaultyFiles<DiskFiles> {
 public:
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool closed = false;
    void set(bool is_closed) {
      const std::lock_guard hold(mutex);
      closed = is_closed;
      changed.notify_all();
    }
  };
  GatedFiles(const std::shared_ptr<Machine>& machine, FaultPlan plan, std::shared_ptr<Gate> gate)
      : FaultyFiles(DiskFiles(machine), std::move(plan)), gate_(std::move(gate)) {}
  ssize_t write(int fd, const void* from, std::size_t size, off_t at) {
    {
      std::unique_lock hold(gate_->mutex);
      gate_->changed.wait(hold, [&] { return !gate_->closed; });
    }
    return FaultyFiles::write(fd, from, size, at);
  }

 private:
  std::shared_ptr<Gate> gate_;
};

using Log = BasicAuditLog<GatedFiles, ManualClock&>;
constexpr const char* directory = "/audit";

AuditLogOptions quick() {
  AuditLogOptions options;
  options.gather = Duration(0);
  options.retry_after = Duration(3'600'000);  // only when it is flushed
  options.longest_wait = Duration(3'600'000);
  options.segment_bytes = std::size_t{64} << 10U;
  options.queue_bytes = std::size_t{64} << 10U;
  return options;
}

/// A machine, and the processes on it that have the log open, one after the other.
struct World {
  std::shared_ptr<Machine> machine = std::make_shared<Machine>();
  FaultPlan plan;
  std::shared_ptr<GatedFiles::Gate> gate = std::make_shared<GatedFiles::Gate>();
  ManualClock clock{Timestamp(Duration(1'700'000'000'000))};

  std::unique_ptr<Log> open(AuditLogOptions options = quick()) {
    return std::make_unique<Log>(directory, std::move(options), GatedFiles(machine, plan, gate), clock);
  }
  AuditReport verify(AuditVerification against = {}) const {
    return verify_audit_log(directory, against, DiskFiles(machine));
  }
};

Record record_of(unsigned number) {
  Record record;
  record.version = number;
  record.attempts = 1;
  record.attempt_id = 1000 + number;
  return record;
}

void begin(Log& log, unsigned number) {
  const Record record = record_of(number);
  log.on(events::Began{IdempotencyKey("shop", std::to_string(number)), record});
}

/// The numbers of what has begun, as the log has them.
struct Begun {
  AuditReport report;
  std::vector<unsigned> numbers;
};
Begun begun_in(const World& world, AuditVerification against = {}) {
  Begun begun;
  against.on_entry = [&](const AuditEntry& entry) {
    if (entry.kind == AuditKind::began) begun.numbers.push_back(static_cast<unsigned>(entry.version));
  };
  begun.report = world.verify(std::move(against));
  return begun;
}
std::vector<unsigned> up_to(unsigned last) {
  std::vector<unsigned> numbers;
  for (unsigned number = 1; number <= last; ++number) numbers.push_back(number);
  return numbers;
}

std::string all_bytes(const Machine& machine) {
  std::string bytes;
  const Disk::Node& in = machine.disk.node(machine.disk.find(directory));
  for (const auto& [name, inode] : in.names) bytes += machine.disk.node(inode).cache;
  return bytes;
}

constexpr FileFault::Does deaths[] = {FileFault::Does::dies_before, FileFault::Does::dies_halfway,
                                      FileFault::Does::dies_within, FileFault::Does::dies_after};

}  // namespace

TEST_CASE("what happens in a guard is in the audit log, and no key and no payload", "[audit]") {
  World world;
  struct Seen {
    AuditKind kind;
    std::string state, text;
  };
  {
    const auto log = world.open();
    IdempotencyGuard guard{MemoryStore{}, KeyedMutex{}, world.clock, GuardOptions{}, *log};
    const IdempotencyKey paid("tenant", "order-paid"), doubtful("tenant", "order-doubtful");
    CHECK(
        guard.execute(paid, fingerprint("a"), [] { return std::string("the-receipt"); }, {.amount = "7 EUR"})
            .succeeded());
    CHECK(guard.execute(paid, fingerprint("a"), [] { return std::string(); }).succeeded());
    CHECK(guard.execute(paid, fingerprint("b"), [] { return std::string(); }).status() == Status::key_reused);
    CHECK(guard
              .execute(doubtful, fingerprint("c"),
                       []() -> PaymentResult<std::string> { throw std::runtime_error("no answer"); })
              .status() == Status::in_doubt);
    world.clock.advance(Duration(5000));
    static_cast<void>(guard.resolve<std::string>(
        doubtful, PaymentResult<std::string>::succeeded("the-receipt"), "Ada", "seen at the bank"));
    CHECK(log->flush());
    CHECK(log->head().number == 8);
  }
  std::vector<AuditEntry> entries;
  std::vector<std::string> texts;
  AuditVerification against;
  against.on_entry = [&](const AuditEntry& entry) {
    entries.push_back(entry);
    texts.push_back(std::string(entry.amount) + '|' + std::string(entry.text));
  };
  const AuditReport report = world.verify(against);
  REQUIRE(report.damage.empty());
  REQUIRE(entries.size() == 9);
  const AuditKind kinds[] = {AuditKind::opened,   AuditKind::began,     AuditKind::completed,
                             AuditKind::replayed, AuditKind::refused,   AuditKind::began,
                             AuditKind::in_doubt, AuditKind::completed, AuditKind::closed};
  for (std::size_t at = 0; at < entries.size(); ++at) {
    CAPTURE(at);
    CHECK(entries[at].kind == kinds[at]);
  }
  const AuditName paid = audit_name(IdempotencyKey("tenant", "order-paid"));
  CHECK((entries[1].name == paid && entries[2].name == paid && entries[3].name == paid));
  CHECK(entries[7].name == audit_name(IdempotencyKey("tenant", "order-doubtful")));
  CHECK(entries[1].state == State::in_progress);
  CHECK(entries[2].state == State::succeeded);
  CHECK(entries[2].version > entries[1].version);
  CHECK(entries[2].attempt_id == entries[1].attempt_id);
  CHECK(entries[2].attempts == 1);
  CHECK(texts[1] == "7 EUR|");
  CHECK(static_cast<events::Refusal>(entries[4].detail) == events::Refusal::key_reused);
  CHECK_FALSE(entries[4].state);
  CHECK(texts[6] == "|no answer");
  CHECK_THAT(texts[7], support::contains("Ada") && support::contains("seen at the bank"));
  CHECK(entries[7].at - entries[6].at == Duration(5000));
  const std::string bytes = all_bytes(*world.machine);
  for (const char* const kept_out : {"order-paid", "order-doubtful", "tenant", "the-receipt"})
    CHECK(bytes.find(kept_out) == std::string::npos);
}

TEST_CASE("each opening goes on with the chain, and tells how the one before ended", "[audit]") {
  World world;
  AuditHead head;
  for (unsigned life = 0; life < 4; ++life) {
    auto log = world.open();
    begin(*log, life + 1);
    REQUIRE(log->flush());
    head = log->head();
    if (life == 1) {
      world.plan.inject({.does = FileFault::Does::dies_before});
      log.reset();
      world.machine = std::make_shared<Machine>(world.machine->disk.after_kill());
      world.plan = FaultPlan();
    }
  }
  const Begun begun = begun_in(world, {.anchors = {head}});
  CHECK(begun.report.damage.empty());
  CHECK(begun.numbers == up_to(4));
  CHECK(begun.report.openings == 4);
  CHECK(begun.report.unclean_ends == 1);
  CHECK(begun.report.closed);
}

TEST_CASE("one process at a time, and neither a store nor an audit log is opened as the other", "[audit]") {
  World world;
  auto log = world.open();
  CHECK_THROWS_MATCHES(
      world.open(), Error,
      support::has_code<Error>(errc::store_busy) && support::says<Error>("audit log /audit"));
  CHECK_THROWS_MATCHES(world.verify(), Error, support::has_code<Error>(errc::store_busy));
  log.reset();
  DiskFiles files(world.machine);
  const int fd = files.open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  const auto as_store = [&] {
    detail::recover_log(
        files, fd, [](auto...) {}, [](auto...) {});
  };
  CHECK_THROWS_MATCHES(
      as_store(), Error,
      support::has_code<Error>(errc::unsupported_format) && support::says<Error>("AuditLog"));
  CHECK_THROWS_MATCHES(verify_audit_log("/nowhere", {}, DiskFiles(world.machine)), Error,
                       support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("a sealed log is opened with its secret alone", "[audit]") {
  World world;
  AuditLogOptions sealed = quick();
  sealed.secret = "right";
  sealed.keys = AuditKeys::keyed;
  {
    const auto log = world.open(sealed);
    begin(*log, 1);
  }
  const auto refused = [&](const char* secret, errc code) {
    AuditLogOptions options = quick();
    options.secret = secret;
    CHECK_THROWS_MATCHES(world.open(options), Error, support::has_code<Error>(code));
  };
  refused("", errc::invalid_options);
  refused("wrong", errc::store_corrupt);
  world.open(sealed).reset();
  AuditVerification against{.secret = "right"};
  against.on_entry = [](const AuditEntry& entry) {
    if (entry.kind == AuditKind::began)
      CHECK((entry.name_keyed && entry.name == audit_name(IdempotencyKey("shop", "1"), "right")));
  };
  const AuditReport report = world.verify(against);
  CHECK(report.damage.empty());
  CHECK(report.seals == AuditReport::Seals::right);
  CHECK(report.entries == 5);

  World unsealed;  // is not sealed afterwards: somebody could have made it
  unsealed.open().reset();
  CHECK_THROWS_MATCHES(unsealed.open(sealed), Error, support::has_code<Error>(errc::store_corrupt));
}

TEST_CASE("a log that was cut or changed is not gone on with", "[audit]") {
  World world;
  {
    const auto log = world.open();
    for (unsigned number = 1; number <= 3; ++number) {
      begin(*log, number);
      REQUIRE(log->flush());
    }
  }
  Disk& disk = world.machine->disk;
  const Disk::Node& in = disk.node(disk.find(directory));
  const Disk::Inode file = in.names.at("log.0000000000000001");
  const std::string right = disk.node(file).cache;
  disk.node(file).cache[400] ^= 1;
  CHECK_THROWS_MATCHES(world.open(), Error, support::has_code<Error>(errc::store_corrupt));
  CHECK_FALSE(world.verify().whole());
  disk.node(file).cache = right;
  CHECK(world.verify().whole());
}

TEST_CASE("a new log continues an old one, and says where", "[audit]") {
  World old, fresh;
  old.open().reset();
  const AuditHead end = old.verify().head;
  AuditLogOptions options = quick();
  options.continues = end;
  fresh.open(options).reset();
  fresh.open(options).reset();
  fresh.open().reset();
  const AuditReport report = fresh.verify();
  CHECK(report.damage.empty());
  CHECK(report.continues == end);
  CHECK(old.verify({.anchors = {*report.continues}}).whole());
  options.continues = report.head;
  CHECK_THROWS_MATCHES(fresh.open(options), Error, support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("a log goes from file to file, and a file that is gone is missed", "[audit]") {
  World world;
  std::vector<AuditHead> heads;
  {
    const auto log = world.open();
    for (unsigned number = 1; number <= 3000; ++number) {
      begin(*log, number);
      if (number % 100 == 0) {
        REQUIRE(log->flush());
        heads.push_back(log->head());
      }
    }
  }
  const Begun begun = begun_in(world, {.anchors = heads});
  CHECK(begun.report.damage.empty());
  CHECK(begun.numbers == up_to(3000));
  std::vector<std::string> names;
  {
    const Disk& disk = world.machine->disk;
    for (const auto& [name, inode] : disk.node(disk.find(directory)).names) names.push_back(name);
  }
  std::size_t in_use = 0;
  for (const std::string& name : names) {
    World without;
    without.machine = std::make_shared<Machine>(world.machine->disk);
    Disk& disk = without.machine->disk;
    const Disk::Inode in = disk.find(directory);
    const std::string& bytes = disk.node(disk.find(in, name)).cache;
    if (name == "log.tmp" || bytes.find_first_not_of('\0') == std::string::npos) continue;
    ++in_use;
    disk.unlink(in, name);
    CAPTURE(name);
    CHECK_FALSE(without.verify().whole());
  }
  CHECK(in_use >= 3);
}

TEST_CASE("a call that fails is got over: each event is in the log once, in order", "[audit][fault]") {
  constexpr FileFault::Does kinds[] = {FileFault::Does::fails, FileFault::Does::does_half};
  std::size_t failed = 0;
  for (const auto direct : {Machine::Direct::works, Machine::Direct::is_not_opened})
    for (const FileFault::Does does : kinds)
      for (const std::size_t times : {1U, 3U})
        for (std::size_t at = 1;; ++at) {
          World world;
          world.machine->direct = direct;
          CAPTURE(at, times, static_cast<int>(does), static_cast<int>(direct));
          auto log = world.open();
          world.plan.inject({.at = at, .times = times, .does = does, .error = at % 2 == 0 ? EIO : ENOSPC});
          unsigned number = 0;
          for (int group = 0; group < 3; ++group) {
            for (int event = 0; event < 3; ++event) begin(*log, ++number);
            for (int tries = 0; !log->flush(); ++tries) {
              REQUIRE(log->status().failing);
              REQUIRE_FALSE(log->status().failure.empty());
              REQUIRE(tries < 20);
            }
          }
          const bool hit = world.plan.hits() > 0;
          failed += log->status().failures > 0 ? 1U : 0U;
          const AuditHead head = log->head();
          log.reset();
          world.machine = std::make_shared<Machine>(world.machine->disk.after_power_loss({}));
          const Begun begun = begun_in(world, {.anchors = {head}});
          REQUIRE(begun.report.damage.empty());
          REQUIRE(begun.numbers == up_to(9));
          REQUIRE(begun.report.lost == 0);
          if (!hit) break;
        }
  CHECK(failed > 20);
}

TEST_CASE("a process that dies at any call leaves a log that has what it was told to have",
          "[audit][fault]") {
  std::size_t died = 0;
  for (std::size_t at = 1;; ++at) {
    std::size_t hit = 0;
    for (const FileFault::Does does : deaths) {
      World world;
      AuditLogOptions options = quick();
      options.secret = "its own";
      world.machine->direct = at % 2 == 0 ? Machine::Direct::works : Machine::Direct::is_not_opened;
      world.plan.inject({.at = at, .does = does});
      CAPTURE(at, static_cast<int>(does));
      std::vector<AuditHead> heads;
      unsigned safe = 0;
      for (unsigned life = 0; life < 2; ++life) {
        try {
          const auto log = world.open(options);
          for (unsigned number = 1; number <= 12; ++number) {
            begin(*log, life * 12 + number);
            if (number % 3 != 0 || !log->flush()) continue;
            safe = life * 12 + number;
            heads.push_back(log->head());
          }
        } catch (const Error& error) {
          REQUIRE(error.code() == errc::store_unavailable);  // it is dead
        }
      }
      if (!world.plan.dead()) continue;
      ++hit;
      const auto look = [&](Disk disk, const std::string& when) {
        World later;
        later.machine = std::make_shared<Machine>(std::move(disk));
        CAPTURE(when);
        AuditHead goes_on;
        try {
          const auto log = later.open(options);
          begin(*log, 99);
          REQUIRE(log->flush());
          goes_on = log->head();
        } catch (const Error& error) {
          FAIL(error.what());
        }
        AuditVerification against{.secret = "its own", .anchors = heads};
        against.anchors.push_back(goes_on);
        const Begun begun = begun_in(later, against);
        REQUIRE(begun.report.damage.empty());
        REQUIRE(begun.numbers.size() >= safe + 1);
        for (unsigned number = 1; number <= safe; ++number) REQUIRE(begun.numbers[number - 1] == number);
        REQUIRE(begun.numbers.back() == 99);
      };
      look(world.machine->disk.after_kill(), "killed");
      for (const auto bytes : {Loss::Bytes::none, Loss::Bytes::some, Loss::Bytes::cut, Loss::Bytes::thirds})
        look(world.machine->disk.after_power_loss({bytes, Loss::Names::some, at}), "without power");
    }
    if (hit == 0) break;
    died += hit;
  }
  CHECK(died > 200);
}

TEST_CASE("where it is asked for, what matters is on the disk before the payment goes on", "[audit][fault]") {
  World world;
  AuditLogOptions options = quick();
  options.audit_durability = AuditDurability::before_returning;
  options.gather = Duration(3'600'000);  // cut short by whoever waits
  const auto log = world.open(options);
  for (unsigned number = 1; number <= 3; ++number) {
    begin(*log, number);
    World later;
    later.machine = std::make_shared<Machine>(world.machine->disk.after_power_loss({}));
    CHECK(begun_in(later).numbers == up_to(number));
  }
  CHECK(log->status().waits == 3);
  world.plan.inject({.call = FileCall::write, .times = FileFault::for_ever});
  begin(*log, 4);  // not for ever
  begin(*log, 5);
  CHECK(log->status().failing);
  CHECK(log->status().waiting == 2);
  world.plan.clear();
  CHECK(log->flush());
  CHECK(log->status().waiting == 0);
}

TEST_CASE("events that find no room are counted, and the count is in the log", "[audit][fault]") {
  World world;
  AuditLogOptions options = quick();
  std::vector<std::string> told;
  options.alert = [&](const Alert& alert) {
    told.push_back(alert.rule + (alert.edge == Alert::Edge::raised ? " raised" : " cleared"));
    throw std::runtime_error("nobody minds");
  };
  unsigned added = 0;
  {
    const auto log = world.open(options);
    world.plan.inject({.call = FileCall::write, .times = FileFault::for_ever, .error = ENOSPC});
    begin(*log, ++added);
    CHECK_FALSE(log->flush());
    CHECK_THAT(log->status().failure, support::contains("make room"));
    const Record record = record_of(1);
    const IdempotencyKey key("shop", "1");
    while (log->status().lost == 0) log->on(events::Replayed{key, record});  // half of the room
    const std::uint64_t light = log->status().waiting;
    while (log->status().lost == 1) begin(*log, ++added);  // and the other half
    CHECK(log->status().waiting > light * 3 / 2);
    for (int more = 0; more < 5; ++more) begin(*log, 1000);
    CHECK(log->status().lost == 7);
    CHECK(log->status().waits == 0);  // on what fails nobody waits
    CHECK_FALSE(log->flush());
    world.clock.advance(Duration(1000));
    world.plan.clear();
    CHECK(log->flush());
    CHECK(log->status().lost == 7);
    CHECK_FALSE(log->status().failing);
    begin(*log, added);
  }
  CHECK(told == std::vector<std::string>{"audit_failing raised", "audit_events_lost raised",
                                         "audit_failing cleared", "audit_events_lost cleared"});
  std::uint64_t first = 0;
  AuditVerification against;
  against.on_entry = [&](const AuditEntry& entry) {
    if (entry.kind == AuditKind::lost) first = entry.attempt_id;
  };
  const AuditReport report = world.verify(against);
  CHECK(report.damage.empty());
  CHECK(report.lost == 7);
  CHECK(first == 1'700'000'000'000);
  CHECK(report.interruptions == 1);
  CHECK(begun_in(world).numbers == [&] {
    std::vector<unsigned> numbers = up_to(added - 1);  // the last one found no room the first time
    numbers.push_back(added);
    return numbers;
  }());
}

TEST_CASE("a payment waits for room behind a slow disk, for a while", "[audit][fault]") {
  const bool patient = GENERATE(true, false);
  World world;
  AuditLogOptions options = quick();
  options.longest_wait = patient ? Duration(3'600'000) : Duration(1);
  auto log = world.open(options);
  world.gate->set(true);
  std::thread payer([&] {
    for (unsigned number = 1; number <= 2500; ++number) begin(*log, number);
  });
  if (patient) {
    while (log->status().waits == 0) std::this_thread::yield();
    CHECK(log->status().lost == 0);
    world.gate->set(false);
    payer.join();
  } else {
    payer.join();                     // though nothing is written
    CHECK(log->status().waits <= 2);  // the first may have found room
    world.gate->set(false);
  }
  CHECK(log->flush());
  const std::uint64_t lost = log->status().lost;
  CHECK((lost == 0) == patient);
  log.reset();
  const Begun begun = begun_in(world);
  CHECK(begun.report.lost == lost);
  CHECK(begun.numbers.size() + lost == 2500);
  CHECK(std::is_sorted(begun.numbers.begin(), begun.numbers.end()));
}

TEST_CASE("the log tries again by itself, and in the end once more", "[audit][fault]") {
  World world;
  AuditLogOptions options = quick();
  options.retry_after = Duration(1);
  auto log = world.open(options);
  world.plan.inject({.call = FileCall::write, .times = 3});
  begin(*log, 1);
  while (log->status().waiting > 0) std::this_thread::yield();
  CHECK(log->status().failures >= 1);
  log.reset();
  options.retry_after = Duration(3'600'000);
  log = world.open(options);
  world.plan.inject({.call = FileCall::write, .times = 1});
  begin(*log, 2);
  while (log->status().failures == 0) std::this_thread::yield();
  log.reset();
  CHECK(begun_in(world).numbers == up_to(2));
  CHECK(world.verify().closed);
}

TEST_CASE("a directory that was moved away is a failure, and no silent end", "[audit][fault]") {
  World world;
  const auto log = world.open();
  begin(*log, 1);
  CHECK(log->flush());
  world.machine->disk.rename(Disk::root, "audit", "elsewhere");
  begin(*log, 2);
  CHECK_FALSE(log->flush());
  CHECK_THAT(log->status().failure, support::contains("moved"));
  world.machine->disk.rename(Disk::root, "elsewhere", "audit");
  CHECK(log->flush());
}

TEST_CASE("threads write side by side, each in its own order", "[audit][threads]") {
  World world;
  AuditLogOptions options = quick();
  const bool waits = GENERATE(false, true);
  if (waits) options.audit_durability = AuditDurability::before_returning;
  constexpr unsigned threads = 4, each = 150;
  {
    const auto log = world.open(options);
    std::atomic<unsigned> running{threads};
    std::vector<std::thread> all;
    for (unsigned thread = 0; thread < threads; ++thread)
      all.emplace_back([&, thread] {
        for (unsigned number = 0; number < each; ++number) begin(*log, thread * 1000 + number);
        --running;
      });
    AuditHead before;
    while (running > 0) {
      log->flush();
      const AuditHead head = log->head();
      CHECK(head.number >= before.number);
      before = head;
    }
    for (std::thread& thread : all) thread.join();
  }
  unsigned next[threads] = {};
  const Begun begun = begun_in(world);
  CHECK(begun.report.damage.empty());
  CHECK(begun.numbers.size() == threads * each);
  for (const unsigned number : begun.numbers) CHECK(number % 1000 == next[number / 1000]++);
}

TEST_CASE("long texts are cut, and the entry says so", "[audit]") {
  World world;
  {
    const auto log = world.open();
    Record record = record_of(1);
    record.amount = std::string(300, '1');
    record.amount[254] = '\xc3', record.amount[255] = '\xa9';  // a letter of two bytes
    record.note = std::string(1000, '\xa9') + std::string(16 * 1024 - 1, 'x');
    log->on(events::Completed{IdempotencyKey("", "k"), record});
  }
  AuditVerification against;
  against.on_entry = [](const AuditEntry& entry) {
    if (entry.kind != AuditKind::completed) return;
    CHECK(entry.text_cut);
    CHECK(entry.amount == std::string(254, '1'));
    CHECK(entry.text == std::string(16 * 1024 - 1, 'x'));
  };
  CHECK(world.verify(against).whole());
}

TEST_CASE("options that cannot work are refused by name", "[audit]") {
  World world;
  const auto refused = [&](auto change, const char* name) {
    AuditLogOptions options = quick();
    change(options);
    CHECK_THROWS_MATCHES(world.open(options), Error,
                         support::has_code<Error>(errc::invalid_options) && support::says<Error>(name));
  };
  refused([](auto& o) { o.keys = AuditKeys::keyed; }, "keys");
  refused([](auto& o) { o.longest_wait = Duration(-1); }, "longest_wait");
  refused([](auto& o) { o.gather = Duration(3'600'001); }, "gather");
  refused([](auto& o) { o.retry_after = Duration(0); }, "retry_after");
  refused([](auto& o) { o.queue_bytes = 1; }, "queue_bytes");
  refused([](auto& o) { o.segment_bytes = 1; }, "segment_bytes");
  CHECK(world.machine->disk.find(directory) == 0);  // nothing was made
}

#ifndef PAIDONCE_TEST_THREAD_SANITIZER  // it does not follow a child
TEST_CASE("a forked child records nothing, and leaves its parent's log alone", "[audit]") {
  World world;
  AuditLogOptions options = quick();
  options.audit_durability = AuditDurability::before_returning;  // a child would wait for a thread that it
  auto log = world.open(options);                                // does not have
  begin(*log, 1);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(10);
    begin(*log, 2);
    const bool nothing = !log->flush() && log->status().waiting == 0;
    log.reset();
    ::_exit(nothing ? 7 : 8);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7));
  begin(*log, 2);
  CHECK(log->flush());
  log.reset();
  CHECK(begun_in(world).numbers == up_to(2));
}
#endif
