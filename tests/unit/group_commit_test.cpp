#include <paidonce/stores/file/group_commit.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using detail::GroupCommit;
using detail::PendingFrame;

namespace {

/// A log that notes what it is given, one group after the other, and does to a group what the test says.
struct FakeLog {
  std::function<void()> before_return = [] {};
  std::vector<std::vector<std::uint64_t>> groups;
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};

  void commit(const PendingFrame* first) {
    if (inside.fetch_add(1) != 0) overlapped = true;
    std::vector<std::uint64_t> group;
    for (; first; first = first->next)
      if (first->carries == PendingFrame::Carries::frame) group.push_back(first->sequence);
    groups.push_back(group);
    inside.fetch_sub(1);
    before_return();
  }

  std::vector<std::uint64_t> all() const {
    std::vector<std::uint64_t> sequences;
    for (const auto& group : groups) sequences.insert(sequences.end(), group.begin(), group.end());
    return sequences;
  }
};

std::vector<std::uint64_t> up_to(std::uint64_t last) {
  std::vector<std::uint64_t> sequences;
  for (std::uint64_t next = 1; next <= last; ++next) sequences.push_back(next);
  return sequences;
}

struct Frame : PendingFrame {
  explicit Frame(Tells whom = Tells::waiter) : PendingFrame(whom) { carry(file_format::Kind::put, "x"); }
};

/// Counts, and can be waited for.
class Counter {
 public:
  void add() {
    const std::lock_guard hold(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void await(int count) {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

struct CalledFrame : Frame {
  explicit CalledFrame(std::function<void(CalledFrame&)> what)
      : Frame(Tells::callback), on_settled(std::move(what)) {
    call = [](PendingFrame& frame) noexcept {
      auto& self = static_cast<CalledFrame&>(frame);
      self.on_settled(self);
    };
  }
  std::function<void(CalledFrame&)> on_settled;
};

using Commit = GroupCommit<FakeLog>;

}  // namespace

TEST_CASE("a caller that is alone commits on its own thread", "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  commit.begin_behind(7);
  std::thread::id committed_on;
  log.before_return = [&] { committed_on = std::this_thread::get_id(); };
  Frame frame;
  commit.submit(frame);
  CHECK(frame.sequence == 8);
  CHECK_FALSE(commit.is_durable(8));
  commit.settle(frame);
  CHECK(commit.is_durable(8));
  CHECK(committed_on == std::this_thread::get_id());
}

TEST_CASE("what is submitted while a group is committed is not durable with it",
          "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  Frame first, late;
  log.before_return = [&] {
    if (log.groups.size() > 1) return;
    commit.submit(late);
    CHECK_FALSE(commit.is_durable(first.sequence));
  };
  commit.submit(first);
  commit.settle(first);
  CHECK(commit.is_durable(first.sequence));
  CHECK_FALSE(commit.is_durable(late.sequence));
  CHECK(late.state.load() == PendingFrame::leading);  // the lead was handed to it
  commit.settle(late);
  CHECK(commit.is_durable(late.sequence));
  CHECK(log.groups.size() == 2);
}

TEST_CASE("a frame that tells nobody goes with the next that does", "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  Frame silent(PendingFrame::Tells::nobody);
  commit.submit(silent);
  CHECK(log.groups.empty());
  commit.settle_all();
  CHECK(log.all() == up_to(1));
  CHECK(commit.is_durable(silent.sequence));
}

TEST_CASE("frames that tell nobody are out of their group before somebody else may commit",
          "[store][file][group_commit]") {
  // Whoever led the group still goes through it then, and they may be gone: a wait behind them may be over.
  FakeLog log;
  Commit commit(log);
  Frame first, third;
  Frame second(PendingFrame::Tells::nobody), fourth(PendingFrame::Tells::nobody);
  for (Frame* frame : {&first, &second, &third, &fourth}) commit.submit(*frame);
  commit.settle(first);
  CHECK(first.next == &third);
  CHECK(third.next == nullptr);
  CHECK((second.durable && fourth.durable));
  CHECK(log.all() == up_to(4));
  commit.settle(third);
}

TEST_CASE("a failed commit fails its group and all after it, and nothing is committed again",
          "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  Frame good;
  commit.submit(good);
  commit.settle(good);
  log.before_return = [] { throw std::runtime_error("the disk is gone"); };
  Frame silent(PendingFrame::Tells::nobody), bad;
  commit.submit(silent);
  commit.submit(bad);
  try {
    commit.settle(bad);
    FAIL("it was not durable");
  } catch (const Error& error) {
    CHECK(error.code() == errc::store_poisoned);
    CHECK_THAT(error.what(),
               Catch::Matchers::Contains("the disk is gone") && Catch::Matchers::Contains("open it again"));
  }
  CHECK_FALSE(silent.durable);
  CHECK(commit.failed());
  CHECK_FALSE(commit.is_durable(good.sequence));  // nothing is answered any more
  const std::size_t groups = log.groups.size();
  Frame after;
  commit.submit(after);
  CHECK_THROWS_AS(commit.settle(after), Error);
  CHECK(log.groups.size() == groups);
}

TEST_CASE("callbacks are called on the thread and may submit again", "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  commit.start_thread();
  Counter done;
  std::vector<std::unique_ptr<CalledFrame>> frames;
  std::thread::id called_on;
  constexpr int rounds = 100;
  std::function<void(CalledFrame&)> next = [&](CalledFrame& frame) {
    CHECK(frame.durable);
    CHECK(commit.is_durable(frame.sequence));
    called_on = std::this_thread::get_id();
    if (frames.size() < rounds) {
      frames.push_back(std::make_unique<CalledFrame>(next));
      commit.submit(*frames.back());
    } else {
      done.add();
    }
  };
  frames.push_back(std::make_unique<CalledFrame>(next));
  commit.submit(*frames.front());
  done.await(1);
  CHECK(called_on != std::this_thread::get_id());
  commit.stop();
  CHECK(log.all() == up_to(rounds));
}

TEST_CASE("a callback in a group that a caller commits is called by the thread",
          "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  commit.start_thread();
  Counter called;
  std::thread::id called_on;
  CalledFrame frame([&](CalledFrame&) {
    called_on = std::this_thread::get_id();
    called.add();
  });
  Frame first, leads;
  log.before_return = [&] {  // both queue behind the first, which hands the lead on: to the thread
    if (log.groups.size() > 1) return;
    commit.submit(leads);
    commit.submit(frame);
  };
  commit.submit(first);
  commit.settle(first);
  commit.settle(leads);
  called.await(1);
  CHECK(called_on != std::this_thread::get_id());
}

TEST_CASE("a stop settles what is queued for callbacks", "[store][file][group_commit]") {
  for (int round = 0; round < 50; ++round) {
    FakeLog log;
    Commit commit(log);
    commit.start_thread();
    std::atomic<int> called{0};
    std::deque<CalledFrame> frames;
    for (int i = 0; i < 10; ++i) commit.submit(frames.emplace_back([&](CalledFrame&) { ++called; }));
    commit.stop();
    REQUIRE(called == 10);
  }
}

TEST_CASE("of any mixture of callers each is settled once, in order, one group at a time",
          "[store][file][group_commit]") {
  FakeLog log;
  Commit commit(log);
  commit.start_thread();
  constexpr int each = 300;
  const int threads = GENERATE(2, 8, 40);
  const auto callbacks_each = static_cast<std::size_t>(GENERATE(0, 1, 50));
  Counter called;
  std::deque<std::deque<CalledFrame>> frames;
  for (int t = 0; t < threads; ++t) frames.emplace_back();
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> pool;
    for (int t = 0; t < threads; ++t)
      pool.emplace_back([&, t] {
        for (int i = 0; i < each; ++i) {
          if (callbacks_each > 0 && static_cast<std::size_t>(i) % callbacks_each == 0)
            commit.submit(frames[static_cast<std::size_t>(t)].emplace_back([&](CalledFrame& frame) {
              if (!frame.durable) ++wrong;
              called.add();
            }));
          Frame frame;
          commit.submit(frame);
          commit.settle(frame);
          if (!commit.is_durable(frame.sequence)) ++wrong;
        }
      });
  }
  const int callbacks =
      callbacks_each == 0
          ? 0
          : threads * ((each + static_cast<int>(callbacks_each) - 1) / static_cast<int>(callbacks_each));
  called.await(callbacks);
  commit.stop();
  CHECK(wrong == 0);
  CHECK_FALSE(log.overlapped);
  CHECK(log.all() == up_to(static_cast<std::uint64_t>(threads * each + callbacks)));
}
