#pragma once
// Many payments through one guard: some at a time, each by itself, and an end on demand that leaves nothing
// half begun.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/retry/retry.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// After each payment of a batch.
struct BatchProgress {
  std::size_t finished = 0;  ///< so many so far, this one included
  std::size_t total = 0;
  std::size_t payment = 0;  ///< which one it was: its place in the range, from 0
};

struct BatchOptions {
  /// Payments at the same time.
  std::size_t concurrency = 4;
  /// Called after each payment, by one thread at a time. What it throws is dropped, since the payments are
  /// what counts.
  std::function<void(const BatchProgress&)> progress = {};
  /// Payments that have not started when it is requested do not start; those that run are finished. Null:
  /// nothing stops the batch. Give it to the retries within, too, so that their pauses end.
  Stop* stop = nullptr;
};

/// What became of one payment of a batch: nothing, an outcome, or an exception.
template <class R>
struct Executed {
  std::optional<Outcome<R>> outcome = {};
  /// What the guard, or the callable that calls it, threw; `Error` from a guard means that this call started
  /// no payment.
  std::exception_ptr error = {};

  /// False: the batch was stopped before. Nothing was sent or recorded; the same call may run later.
  bool started() const noexcept { return outcome.has_value() || error != nullptr; }

  /// As if it had been executed alone: its outcome, or its exception, thrown again; `Error{shutting_down}`
  /// where it was not started.
  Outcome<R> value() && {
    if (error) std::rethrow_exception(error);
    if (!outcome) throw Error(errc::shutting_down, "stopped before it started; the same call may run later");
    return std::move(*outcome);
  }
};

namespace detail {

/// Hands the payments out to threads, and takes down what became of them.
template <class Guard, class Range, class Execute>
class Batch {
 public:
  using R = typename OutcomeOf<Execute, Guard&, std::ranges::range_reference_t<Range>>::R;

  // Goes through the range once, before anything starts: what that throws, and where there is no memory, has
  // cost nothing.
  Batch(Guard& guard, Range& payments, Execute& execute, const BatchOptions& options)
      : guard_(guard), execute_(execute), options_(options) {
    for (auto at = std::ranges::begin(payments); at != std::ranges::end(payments); ++at)
      payments_.push_back(at);
    results_.resize(payments_.size());
  }

  std::vector<Executed<R>> run() {
    {
      const Helpers helpers(*this);
      work();
    }
    return std::move(results_);
  }

 private:
  /// The threads beside the caller's own. Where the system has no more of them, those that there are do.
  class Helpers {
   public:
    explicit Helpers(Batch& batch) : batch_(batch) {
      const std::size_t wanted = std::min(batch.options_.concurrency, batch.payments_.size());
      if (wanted < 2) return;
      threads_.reserve(wanted - 1);
      const SignalsBlocked blocked;
      try {
        while (threads_.size() < wanted - 1) threads_.emplace_back([&batch] { batch.work(); });
      } catch (const std::exception&) {
      }
    }
    /// Nothing starts any more, when the caller's thread is being cancelled; what runs is waited for.
    ~Helpers() {
      batch_.taken_.store(batch_.payments_.size());
      const NotCancellable waiting;
      for (std::thread& thread : threads_) thread.join();
    }
    Helpers(const Helpers&) = delete;
    Helpers& operator=(const Helpers&) = delete;

   private:
    Batch& batch_;
    std::vector<std::thread> threads_;
  };

  void work() {
    for (std::size_t place; !stopped() && (place = taken_++) < payments_.size();) {
      execute(place);
      report(place);
    }
  }

  bool stopped() const noexcept { return options_.stop != nullptr && options_.stop->requested(); }

  void execute(std::size_t place) {
    Executed<R>& result = results_[place];
    try {
      result.outcome.emplace(std::invoke(execute_, guard_, *payments_[place]));
    } catch (const ForcedUnwind&) {
      result.error = std::make_exception_ptr(std::runtime_error(
          "its thread was ended while the payment ran: the store knows what became of it"));
      throw;
    } catch (...) {
      result.error = std::current_exception();
    }
  }

  void report(std::size_t place) {
    if (!options_.progress) return;
    const std::lock_guard lock(reporting_);
    try {
      options_.progress({++finished_, payments_.size(), place});
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
    }
  }

  Guard& guard_;
  Execute& execute_;
  const BatchOptions& options_;
  std::vector<std::ranges::iterator_t<Range>> payments_;
  std::vector<Executed<R>> results_;
  std::atomic<std::size_t> taken_{0};
  std::mutex reporting_;
  std::size_t finished_ = 0;  // with reporting_
};

}  // namespace detail

/// Calls `execute(guard, payment)` for each of `payments`, so many at a time, and returns when all are done:
/// what became of each, in the order of the range. They start in that order, too. `execute` returns the
/// `Outcome` of the guard, perhaps by way of `retry`, and is called by several threads at once: the caller's
/// and others of the library's own, on which the application's signals are blocked. One payment that throws
/// is no concern of the others; those that have the same key are sorted out by the guard.
///
/// `payments` is a forward range, whose elements are referred to where they are; what dereferencing its
/// iterators does is done on those threads. Throws `Error{invalid_options}`, and what going through the range
/// throws, before anything starts; nothing after that.
template <class Guard, std::ranges::forward_range Payments, class Execute>
[[nodiscard]] auto execute_many(Guard& guard, Payments&& payments, Execute&& execute,
                                const BatchOptions& options = {}) {
  if (options.concurrency == 0)
    throw Error(errc::invalid_options,
                "concurrency must be 1 at least: how many payments may run at a time?");
  return detail::Batch<Guard, std::remove_reference_t<Payments>, std::remove_reference_t<Execute>>(
             guard, payments, execute, options)
      .run();
}

}  // namespace paidonce::inline v1
