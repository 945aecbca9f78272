#pragma once
// A file store on a disk in memory, whose process can be killed and whose power can be taken away.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/file.hpp>

#include "fault/file_script.hpp"
#include "support/catch.hpp"
#include "support/disk_files.hpp"
#include "support/faulty_files.hpp"

namespace fault {

using support::Disk;
using support::DiskFiles;
using support::FaultPlan;
using support::FaultyFiles;
using support::FileCall;
using support::FileFault;
using support::Loss;
using support::Machine;

using DiskStore = BasicFileStore<FaultyFiles<DiskFiles>>;

inline constexpr const char* store_path = "/store";

/// Small segments and no thread, so that the same script makes the same calls.
inline FileStoreOptions small_segments() {
  FileStoreOptions options;
  options.segment_bytes = std::size_t{64} << 10U;
  options.max_record_bytes = std::size_t{4} << 10U;
  options.housekeeping = Housekeeping::by_hand;
  options.shards = 4;
  return options;
}

/// Opens the store as another process.
inline std::unique_ptr<DiskStore> open_store(const std::shared_ptr<Machine>& machine, FaultPlan plan = {},
                                             FileStoreOptions options = small_segments()) {
  return std::make_unique<DiskStore>(store_path, std::move(options),
                                     FaultyFiles<DiskFiles>(DiskFiles(machine), std::move(plan)));
}

/// What a script left, up to its end or to the death of its process.
struct Played {
  std::shared_ptr<Machine> machine;
  FaultPlan plan;
  Expectations expect;
  std::exception_ptr failure;  ///< of a store that could not be opened
};

inline Played play(const Script& script, const FileFault& fault,
                   Machine::Direct direct = Machine::Direct::works) {
  Played played{std::make_shared<Machine>(), FaultPlan(), {}, nullptr};
  played.machine->direct = direct;
  played.plan.inject(fault);
  played.failure = play(
      script, 0, [&] { return open_store(played.machine, played.plan); }, played.expect);
  return played;
}

/// Opens what is on a disk, with nothing failing, and compares.
inline std::shared_ptr<Machine> reopen_and_look(Disk disk, const Script& script, Expectations& expect,
                                                const std::string& when) {
  auto machine = std::make_shared<Machine>(std::move(disk));
  try {
    const auto store = open_store(machine);
    look(*store, script, expect, when);
  } catch (const std::exception& error) {
    expect.complain(when + ": " + error.what());
  }
  return machine;
}

/// Fails the test case with all that is wrong.
inline bool report(const Expectations& expect, const std::string& context) {
  if (expect.wrong().empty()) return true;
  std::string all;
  for (std::size_t at = 0; at < expect.wrong().size() && at < 8; ++at) all += "\n  " + expect.wrong()[at];
  FAIL_CHECK(context << all);
  return false;
}

inline std::string describe(const FileFault& fault) {
  const char* const does[] = {"fails",        "does half",   "dies before",
                              "dies halfway", "dies within", "dies after"};
  std::string text = fault.call ? support::to_string(*fault.call) : "call";
  text += " " + std::to_string(fault.at) + " " + does[static_cast<std::size_t>(fault.does)];
  if (fault.does == FileFault::Does::fails) text += " with " + std::to_string(fault.error);
  if (fault.times > 1)
    text += fault.times == FileFault::for_ever ? " for ever" : " times " + std::to_string(fault.times);
  return text;
}

}  // namespace fault
