// The process that has a file store open ends at every single system call, and the power with it: what was
// acknowledged is there afterwards, and so is what was read before the next end.

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "fault/file_world.hpp"

using namespace fault;

namespace {

constexpr FileFault::Does deaths[] = {FileFault::Does::dies_before, FileFault::Does::dies_halfway,
                                      FileFault::Does::dies_within, FileFault::Does::dies_after};

std::vector<Loss> losses(std::uint64_t seed) {
  using enum Loss::Bytes;
  using Names = Loss::Names;
  return {{none, Names::none, seed},      {all, Names::all, seed},       {none, Names::all, seed},
          {all, Names::none, seed},       {thirds, Names::some, seed},   {some, Names::some, seed},
          {some, Names::all, seed + 1},   {cut, Names::some, seed},      {cut, Names::all, seed + 1},
          {thirds, Names::all, seed + 1}, {some, Names::some, seed + 2}, {cut, Names::none, seed + 2}};
}

std::string describe(const Loss& loss) {
  const char* const bytes[] = {"none", "all", "some", "thirds", "cut"};
  const char* const names[] = {"none", "all", "some"};
  return std::string("bytes kept: ") + bytes[static_cast<std::size_t>(loss.bytes)] +
         ", names kept: " + names[static_cast<std::size_t>(loss.names)] + ", seed " +
         std::to_string(loss.seed);
}

/// Calls `then(played, context)` for a death in every way at every call; true while all is well.
template <class Then>
std::size_t at_every_call(const Script& script, std::size_t step, Machine::Direct direct, const Then& then) {
  std::size_t reached = 0;
  for (std::size_t at = 1;; at += step) {
    std::size_t hit = 0;
    for (const FileFault::Does does : deaths) {
      const FileFault fault{.at = at, .does = does};
      Played played = play(script, fault, direct);
      if (!played.plan.dead()) continue;
      ++hit;
      const std::string context = fault::describe(fault);
      if (!report(played.expect, context) || !then(played, context)) return reached;
    }
    if (hit == 0) return reached;
    reached += hit;
  }
}

}  // namespace

TEST_CASE("a process that is killed at any call leaves what it acknowledged", "[store][file][fault]") {
  const Script script;
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  CHECK(at_every_call(script, 1, direct, [&](Played& played, const std::string& context) {
          reopen_and_look(played.machine->disk.after_kill(), script, played.expect, "opened again");
          return report(played.expect, context);
        }) > 600);
}

TEST_CASE("power that is lost at any call leaves what was acknowledged", "[store][file][fault]") {
  const Script script;
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  std::uint64_t seed = 1;
  CHECK(at_every_call(script, 1, direct, [&](Played& played, const std::string& context) {
          for (const Loss& loss : losses(seed += 10)) {
            Expectations expect = played.expect;
            reopen_and_look(played.machine->disk.after_power_loss(loss), script, expect, describe(loss));
            if (!report(expect, context)) return false;
          }
          return true;
        }) > 600);
}

TEST_CASE("what is read after a kill is not gone after a power loss", "[store][file][fault]") {
  const Script script;
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  std::uint64_t seed = 1;
  CHECK(at_every_call(script, 1, direct, [&](Played& played, const std::string& context) {
          const auto machine = reopen_and_look(played.machine->disk.after_kill(), script, played.expect,
                                               "opened again after the kill");
          for (const Loss& loss : losses(seed += 10)) {
            Expectations expect = played.expect;
            reopen_and_look(machine->disk.after_power_loss(loss), script, expect,
                            "then, after a power loss, " + describe(loss));
            if (!report(expect, context)) return false;
          }
          return true;
        }) > 600);
}

TEST_CASE("a store that fills segment after segment can be killed and lose its power",
          "[store][file][fault]") {
  const Script script(1, 3900, 60);
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  std::uint64_t seed = 1;
  CHECK(at_every_call(script, 7, direct, [&](Played& played, const std::string& context) {
          for (const Loss& loss : losses(seed += 10)) {
            Expectations expect = played.expect;
            reopen_and_look(played.machine->disk.after_power_loss(loss), script, expect, describe(loss));
            if (!report(expect, context)) return false;
          }
          return true;
        }) > 100);
}

TEST_CASE("opening can be killed at any call, again and again", "[store][file][fault]") {
  const Script script;
  const auto direct = GENERATE(Machine::Direct::works, Machine::Direct::is_not_opened);
  CAPTURE(direct == Machine::Direct::works);
  std::uint64_t seed = 1;
  // Few places of the script, and of each every call of the opening that follows.
  CHECK(at_every_call(script, 23, direct, [&](Played& played, const std::string& context) {
          for (const Loss& first : {Loss{Loss::Bytes::all, Loss::Names::all, seed},
                                    Loss{Loss::Bytes::cut, Loss::Names::some, seed + 1}}) {
            ++seed;
            Disk disk = played.machine->disk.after_power_loss(first);
            Expectations expect = played.expect;
            for (std::size_t at = 1; at <= 50; ++at) {
              // Each opening begins with what the one before left: the segments of all of them pile up.
              auto machine = std::make_shared<Machine>(disk);
              FaultPlan plan;
              plan.inject({.at = at, .does = deaths[at % 4]});
              try {
                const auto store = open_store(machine, plan);
                look(*store, script, expect, "opened at last");
              } catch (const Error& error) {
                if (error.code() == errc::store_corrupt)
                  expect.complain(std::string("called corrupt: ") + error.what());
              }
              const Loss loss = losses(seed)[at % 12];
              disk = at % 3 == 0 ? machine->disk.after_kill() : machine->disk.after_power_loss(loss);
              if (at % 5 == 0) {
                Expectations now = expect;
                reopen_and_look(disk, script, now,
                                "opened after its " + std::to_string(at) + "th end, " + describe(loss));
                if (!report(now, context)) return false;
              }
            }
            reopen_and_look(disk, script, expect, "opened in the end");
            if (!report(expect, context)) return false;
          }
          return true;
        }) > 20);
}

TEST_CASE("work goes on after each power loss, many times over", "[store][file][fault]") {
  // A life of a store: the script in pieces, each ended somewhere by a power loss.
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const Script script(3);
    Expectations expect;
    Disk disk;
    std::string lives;
    for (int life = 0; life < 12; ++life) {
      auto machine = std::make_shared<Machine>(disk);
      FaultPlan plan;
      const FileFault fault{.at = 1 + random() % 400, .does = deaths[random() % 4]};
      plan.inject(fault);
      const std::size_t from = random() % script.size();
      play(
          script, from, [&] { return open_store(machine, plan); }, expect);
      const Loss loss = losses(random())[random() % 12];
      const bool killed = random() % 3 == 0;
      disk = killed ? machine->disk.after_kill() : machine->disk.after_power_loss(loss);
      lives += "\n  from step " + std::to_string(from) + ", " + fault::describe(fault) + ", " +
               (killed ? "killed" : describe(loss));
      if (random() % 2 == 0) {
        auto opened = reopen_and_look(disk, script, expect, "life " + std::to_string(life));
        disk = opened->disk.after_power_loss(losses(random())[random() % 12]);
      }
      if (!expect.wrong().empty()) break;
    }
    if (!report(expect, "seed " + std::to_string(seed) + lives)) return;
  }
}
