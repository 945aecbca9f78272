#pragma once
// Many payments through one guard: some at a time, each by itself, and an end on demand that leaves nothing
// half begun.

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/outcome_of.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/execute_many/batch_threads.hpp>
#include <paidonce/outcome.hpp>

namespace paidonce::inline v1 {

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

/// The payments of a batch, and what became of them.
template <class Guard, class Range, class Execute>
class Batch {
 public:
  using R = typename OutcomeOf<Execute, Guard&, std::ranges::range_reference_t<Range>>::R;

  // Goes through the range once, before anything starts: what that throws, and where there is no memory, has
  // cost nothing.
  Batch(Guard& guard, Range& payments, Execute& execute) : guard_(guard), execute_(execute) {
    for (auto at = std::ranges::begin(payments); at != std::ranges::end(payments); ++at)
      payments_.push_back(at);
    results_.resize(payments_.size());
  }

  std::vector<Executed<R>> run(const BatchOptions& options) {
    {
      BatchThreads threads(options, payments_.size(), {this, [](void* batch, std::size_t place) {
                                                         static_cast<Batch*>(batch)->execute(place);
                                                       }});
      threads.run();
    }
    return std::move(results_);
  }

 private:
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

  Guard& guard_;
  Execute& execute_;
  std::vector<std::ranges::iterator_t<Range>> payments_;
  std::vector<Executed<R>> results_;
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
             guard, payments, execute)
      .run(options);
}

}  // namespace paidonce::inline v1
