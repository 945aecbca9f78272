#pragma once
// Workers that are killed where it hurts: after the charge and before its record, or after the record and
// before the acknowledgement.

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "journal.hpp"

namespace queue_worker {

enum class Moment { charged, recorded };

/// As many as there are files for them; each file is one death, of whichever process takes it.
class Deaths {
 public:
  static constexpr unsigned most = 100;

  Deaths(std::filesystem::path directory, Journal& journal)
      : directory_(std::move(directory)), journal_(journal) {}

  /// Half of them at each moment.
  void prepare(unsigned deaths) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    for (unsigned i = 0; i < deaths; ++i)
      std::ofstream(file(i % 2 == 0 ? Moment::charged : Moment::recorded, i / 2));
  }

  /// Does not return where it is this process's turn: it is killed, as by an operator who has no patience.
  void die_at(Moment moment) {
    constexpr unsigned some_work = 2;  // before a process dies, so that all of them get on
    if (passed_.fetch_add(1) < 2 * some_work) return;
    const std::lock_guard only_once(dying_);  // and not while another thread writes down what it settled
    std::error_code none;
    for (unsigned i = 0; i < most / 2; ++i)
      if (std::filesystem::remove(file(moment, i), none)) {
        journal_.write(Word::killed);
        ::kill(::getpid(), SIGKILL);
        for (;;) ::pause();
      }
  }

  /// Nobody dies while it is held.
  std::shared_lock<std::shared_mutex> alive() { return std::shared_lock(dying_); }

 private:
  std::filesystem::path file(Moment moment, unsigned number) const {
    return directory_ / ((moment == Moment::charged ? "charged-" : "recorded-") + std::to_string(number));
  }

  const std::filesystem::path directory_;
  Journal& journal_;
  std::atomic<unsigned> passed_{0};
  std::shared_mutex dying_;
};

}  // namespace queue_worker
