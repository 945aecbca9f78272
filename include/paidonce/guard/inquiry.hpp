#pragma once
// What a guard asks its caller's callables, and where their reports are kept, without the callables' types:
// the flow of a payment is compiled once for a guard, and a further call site costs little more than the call
// itself.

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/attempt.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/flow.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/result.hpp>

namespace paidonce::inline v1::detail {

/// One call's questions. Each answer takes the place of the one before it.
class Inquiry {
 public:
  /// Runs the payment. `about` is what its callable is given; whatever that throws comes through.
  virtual void pay(void* about) = 0;
  /// Asks the provider.
  virtual void reconcile(const Record& record) = 0;
  /// Puts the last report into `said`, its response encoded.
  virtual void read(flow::Said& said) = 0;

 protected:
  ~Inquiry() = default;
};

/// A callable by its address, and how to call it. `call` is null where there is none.
template <class R>
struct Asked {
  PaymentResult<R> (*call)(void* callable, void* about) = nullptr;
  void* callable = nullptr;
};

template <class R>
class TypedInquiry final : public Inquiry {
 public:
  TypedInquiry(Asked<R> pay, Asked<R> reconcile) noexcept : pay_(pay), reconcile_(reconcile) {}
  /// For what a person has said already.
  explicit TypedInquiry(PaymentResult<R>&& said) : report_(std::move(said)) {}

  void pay(void* about) override { ask(pay_, about); }
  void reconcile(const Record& record) override {
    if (reconcile_.call) ask(reconcile_, const_cast<Record*>(&record));
  }
  void read(flow::Said& said) override {
    said.report = report_->report();
    if (const R* response = report_->response_if()) {
      said.state_of_response = state_of_response();
      said.response_format = Codec<R>::format;
      said.response = Codec<R>::encode(*response);
    } else {
      said.reason = report_->reason();
    }
  }

  /// Null where nothing was reported, or nothing with a response.
  R* response_if() noexcept { return report_ ? report_->response_if() : nullptr; }
  State state_of_response() const noexcept {
    return report_->report() == Report::succeeded ? State::succeeded : State::declined;
  }

 private:
  void ask(const Asked<R>& asked, void* about) {
    report_.reset();  // what was said before is no evidence of what is asked now
    report_.emplace(asked.call(asked.callable, about));
  }

  Asked<R> pay_ = {};
  Asked<R> reconcile_ = {};
  std::optional<PaymentResult<R>> report_ = {};
};

/// What a person has said in bytes, for a tool that does not know their type.
struct RawInquiry final : Inquiry {
  flow::Said said = {};
  void pay(void*) override {}
  void reconcile(const Record&) override {}
  void read(flow::Said& to) override { to = said; }  // it may be asked again
};

/// What a callable returns, as the guard keeps it: `R` for `R` and for `PaymentResult<R>`.
template <class Returned>
struct Kept {
  using type = result_type_t<Returned>;
};
template <class R>
struct Kept<PaymentResult<R>> {
  using type = R;
};

template <class Callable, class... About>
consteval auto returned_by() {
  if constexpr (std::is_invocable_v<Callable&, About...>)
    return std::type_identity<std::invoke_result_t<Callable&, About...>>{};
  else if constexpr (std::is_invocable_v<Callable&>)
    return std::type_identity<std::invoke_result_t<Callable&>>{};
  else
    static_assert(std::is_invocable_v<Callable&, About...>,
                  "paidonce: the payment callable takes Attempt& or nothing (in a transaction Attempt& and "
                  "Transaction&), and returns R or PaymentResult<R>");
  // Behind a failed assertion anything will do that causes no more errors.
  if constexpr (!std::is_invocable_v<Callable&, About...> && !std::is_invocable_v<Callable&>)
    return std::type_identity<int>{};
}

/// The result type of a payment callable; does not compile, and says why, where it has none that can be
/// stored.
template <class Pay, class... About>
struct Paid {
  using Wanted = typename Kept<std::decay_t<typename decltype(returned_by<Pay, About...>())::type>>::type;
  using R = std::conditional_t<can_be_result<Wanted>, Wanted, int>;
  static constexpr bool checked = (require_result_type<Wanted>(), true);
  static_assert(checked);
};
template <class Pay>
using paid_t = typename Paid<std::remove_reference_t<Pay>, Attempt&>::R;

/// A callable, a plain function too, by its address alone.
template <class Callable>
void* address_of(Callable& callable) noexcept {
  if constexpr (std::is_function_v<Callable>)
    return reinterpret_cast<void*>(&callable);
  else
    return const_cast<void*>(static_cast<const void*>(std::addressof(callable)));
}
template <class Callable>
Callable& callable_at(void* address) noexcept {
  if constexpr (std::is_function_v<Callable>)
    return *reinterpret_cast<Callable*>(address);
  else
    return *static_cast<Callable*>(address);
}

/// What was returned, as a report: a plain value means that the payment succeeded.
template <class R, class Call>
PaymentResult<R> report_of(Call&& call) {
  using Returned = decltype(call());
  if constexpr (std::is_same_v<Returned, PaymentResult<R>> ||
                std::is_convertible_v<Returned, PaymentResult<R>>)
    return call();
  else if constexpr (std::is_constructible_v<R, Returned>)
    return PaymentResult<R>::succeeded(R(call()));
  else  // what it returns was refused by require_result_type
    return PaymentResult<R>::in_doubt({});
}

template <class R, class Pay>
Asked<R> asked_to_pay(Pay& pay) noexcept {
  return {[](void* callable, [[maybe_unused]] void* about) -> PaymentResult<R> {
            Pay& call = callable_at<Pay>(callable);
            if constexpr (std::is_invocable_v<Pay&, Attempt&>)
              return report_of<R>([&]() -> decltype(auto) { return call(*static_cast<Attempt*>(about)); });
            else if constexpr (std::is_invocable_v<Pay&>)
              return report_of<R>([&]() -> decltype(auto) { return call(); });
            else  // refused by returned_by
              return PaymentResult<R>::in_doubt({});
          },
          address_of(pay)};
}

/// What a payment in a transaction is given.
template <class Transaction>
struct AboutTransaction {
  Attempt& attempt;
  Transaction& transaction;
};

template <class R, class Transaction, class Pay>
Asked<R> asked_in_transaction(Pay& pay) noexcept {
  return {[](void* callable, void* about) -> PaymentResult<R> {
            auto& given = *static_cast<AboutTransaction<Transaction>*>(about);
            return report_of<R>([&]() -> decltype(auto) {
              return callable_at<Pay>(callable)(given.attempt, given.transaction);
            });
          },
          address_of(pay)};
}

template <class R, class Reconcile>
Asked<R> asked_to_reconcile(Reconcile& reconcile) noexcept {
  static_assert(std::is_invocable_v<Reconcile&, const Record&>,
                "paidonce: the reconcile function takes const Record& and returns PaymentResult<R>");
  static_assert(std::is_convertible_v<std::invoke_result_t<Reconcile&, const Record&>, PaymentResult<R>>,
                "paidonce: the reconcile function must return PaymentResult<R> with the R of the payment: "
                "succeeded(value), declined(value), not_executed(reason) or in_doubt(reason)");
  return {[](void* callable, void* about) -> PaymentResult<R> {
            return callable_at<Reconcile>(callable)(*static_cast<const Record*>(about));
          },
          address_of(reconcile)};
}

[[gnu::cold]] inline void fall_into_doubt(flow::Said& said, std::string_view why) noexcept {
  said.report = Report::in_doubt;
  said.reason = flow::copy_of(why);
  said.cause = std::current_exception();
}

inline void read_report(Inquiry& inquiry, flow::Said& said) {
  try {
    inquiry.read(said);
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
    fall_into_doubt(said, "the response could not be encoded");
  }
}

/// Runs the payment. Whatever it throws becomes a report; a forced unwind alone is passed on.
inline void ask_to_pay(Inquiry& inquiry, Attempt& attempt, void* about, flow::Said& said) {
  try {
    inquiry.pay(about);
  } catch (const NotExecuted& proof) {
    fall_into_doubt(said, proof.what());
    if (!attempt.checkpoint_saved()) said.report = Report::not_executed;
    return;
  } catch (const std::exception& thrown) {
    return fall_into_doubt(said, thrown.what());
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
    return fall_into_doubt(said, "the payment callable threw something that is no std::exception");
  }
  read_report(inquiry, said);
}

/// Asks the provider. Whatever this throws, `NotExecuted` included, proves nothing.
[[gnu::cold]] inline void ask_provider(Inquiry& inquiry, const Record& record, flow::Said& said) {
  try {
    inquiry.reconcile(record);
  } catch (const std::exception& thrown) {
    return fall_into_doubt(said, thrown.what());
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
    return fall_into_doubt(said, "the reconcile function threw something that is no std::exception");
  }
  read_report(inquiry, said);
}

/// How a call ended, and the stored response where it was replayed.
struct Answer {
  flow::Ending ending = {};
  std::string response = {};
};

template <class R>
R decode_response(std::string&& bytes) {
  if constexpr (std::is_same_v<R, std::string>) {
    return std::move(bytes);
  } else {
    try {
      return Codec<R>::decode(bytes);
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
      throw Error(errc::codec_failure,
                  "the stored response cannot be decoded; it is still in the store, untouched");
    }
  }
}

template <class R>
Outcome<R> outcome_with_report(OutcomeParts<R>&& parts, TypedInquiry<R>& inquiry) {
  if (R* reported = inquiry.response_if()) {
    parts.final_state = inquiry.state_of_response();
    parts.value.emplace(std::move(*reported));
  }
  return Outcome<R>(std::move(parts));
}

/// The typed outcome. In doubt it carries what was returned, if anything was. After a payment it does not
/// throw: a response whose move fails leaves the caller in doubt, and the store with the answer to the next
/// call.
template <class R>
Outcome<R> make_outcome(Answer&& answer, TypedInquiry<R>& inquiry) {
  flow::Ending& ending = answer.ending;
  OutcomeParts<R> parts;
  parts.status = ending.status;
  parts.final_state = ending.final_state;
  parts.retry_after = ending.retry_after;
  parts.reason = std::move(ending.reason);
  parts.cause = std::move(ending.cause);
  if (ending.status == Status::completed && ending.response_in == flow::ResponseIn::record) {
    parts.replayed = true;
    parts.value.emplace(decode_response<R>(std::move(answer.response)));
    return Outcome<R>(std::move(parts));
  }
  if (ending.status != Status::completed && ending.status != Status::in_doubt)
    return Outcome<R>(std::move(parts));
  if constexpr (std::is_nothrow_move_constructible_v<R>) {
    return outcome_with_report(std::move(parts), inquiry);
  } else {
    try {
      return outcome_with_report(std::move(parts), inquiry);
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
      OutcomeParts<R> doubt;
      doubt.status = Status::in_doubt;
      doubt.reason = flow::copy_of("the response could not be handed over; the same call replays it");
      doubt.cause = std::current_exception();
      return Outcome<R>(std::move(doubt));
    }
  }
}

}  // namespace paidonce::inline v1::detail
