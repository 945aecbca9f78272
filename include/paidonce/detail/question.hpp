#pragma once
// A callable that is asked for a report, without its type: so that the flow of a payment is compiled once for
// a guard, and a further call site costs no more than the call itself.

#include <concepts>
#include <exception>
#include <memory>
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

/// Refers to a callable and to the place of its report. `ask` runs it; `read` encodes the report.
struct Question {
  void (*ask)(void* callable, void* about, void* place) = nullptr;
  void (*forget)(void* place) = nullptr;
  void (*read)(void* place, flow::Said& said) = nullptr;
  void* callable = nullptr;
  void* place = nullptr;
};

/// Where a report of type `PaymentResult<R>` is put.
template <class R>
struct ReportPlace {
  std::optional<PaymentResult<R>> report = {};

  /// What was said before is no evidence of what is asked now.
  static void forget(void* self) { static_cast<ReportPlace*>(self)->report.reset(); }

  static void read(void* self, flow::Said& said) {
    PaymentResult<R>& report = *static_cast<ReportPlace*>(self)->report;
    said.report = report.report();
    if (const R* response = report.response_if()) {
      said.state_of_response = report.report() == Report::succeeded ? State::succeeded : State::declined;
      said.response_format = Codec<R>::format;
      said.response = Codec<R>::encode(*response);
    } else {
      said.reason = report.reason();
    }
  }
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
struct Asked {
  static consteval auto returned() {
    if constexpr (std::is_invocable_v<Callable&, About...>)
      return std::type_identity<std::invoke_result_t<Callable&, About...>>{};
    else if constexpr (std::is_invocable_v<Callable&>)
      return std::type_identity<std::invoke_result_t<Callable&>>{};
    else
      static_assert(std::is_invocable_v<Callable&, About...>,
                    "paidonce: the payment callable takes Attempt& or nothing (in a transaction Attempt& and "
                    "Transaction&), and returns R or PaymentResult<R>");
  }
  using Returned = typename decltype(returned())::type;
  using R = typename Kept<std::decay_t<Returned>>::type;
};

/// The result type of a payment callable; does not compile, and says why, where it has none that can be
/// stored.
template <class Pay, class... About>
struct Paid {
  using R = typename Asked<Pay, About...>::R;
  static constexpr bool checked = (require_result_type<R>(), true);
  static_assert(checked);
};
template <class Pay>
using paid_t = typename Paid<std::remove_reference_t<Pay>, Attempt&>::R;

template <class Returned, class R>
void put(Returned&& returned, ReportPlace<R>& place) {
  if constexpr (std::is_convertible_v<Returned&&, PaymentResult<R>>)
    place.report.emplace(std::forward<Returned>(returned));
  else
    place.report.emplace(PaymentResult<R>::succeeded(R(std::forward<Returned>(returned))));
}

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

template <class R, class Pay>
Question pay_question(Pay& pay, ReportPlace<R>& place) {
  return {[](void* callable, void* about, void* to) {
            auto& call = callable_at<Pay>(callable);
            if constexpr (std::is_invocable_v<Pay&, Attempt&>)
              put(call(*static_cast<Attempt*>(about)), *static_cast<ReportPlace<R>*>(to));
            else
              put(call(), *static_cast<ReportPlace<R>*>(to));
          },
          &ReportPlace<R>::forget, &ReportPlace<R>::read, address_of(pay), &place};
}

/// What a payment in a transaction is given.
template <class Transaction>
struct AboutTransaction {
  Attempt& attempt;
  Transaction& transaction;
};

template <class Transaction, class R, class Pay>
Question transaction_question(Pay& pay, ReportPlace<R>& place) {
  return {[](void* callable, void* about, void* to) {
            auto& given = *static_cast<AboutTransaction<Transaction>*>(about);
            put(callable_at<Pay>(callable)(given.attempt, given.transaction),
                *static_cast<ReportPlace<R>*>(to));
          },
          &ReportPlace<R>::forget, &ReportPlace<R>::read, address_of(pay), &place};
}

template <class R, class Reconcile>
Question reconcile_question(Reconcile& reconcile, ReportPlace<R>& place) {
  static_assert(std::is_invocable_v<Reconcile&, const Record&>,
                "paidonce: the reconcile function takes const Record& and returns PaymentResult<R>");
  static_assert(std::is_convertible_v<std::invoke_result_t<Reconcile&, const Record&>, PaymentResult<R>>,
                "paidonce: the reconcile function must return PaymentResult<R> with the R of the payment: "
                "succeeded(value), declined(value), not_executed(reason) or in_doubt(reason)");
  return {[](void* callable, void* about, void* to) {
            static_cast<ReportPlace<R>*>(to)->report.emplace(
                callable_at<Reconcile>(callable)(*static_cast<const Record*>(about)));
          },
          &ReportPlace<R>::forget, &ReportPlace<R>::read, address_of(reconcile), &place};
}

inline void fall_into_doubt(flow::Said& said, std::string_view why) noexcept {
  said.report = Report::in_doubt;
  said.reason = flow::copy_of(why);
  said.cause = std::current_exception();
}

inline void read_report(const Question& question, flow::Said& said) noexcept {
  try {
    question.read(question.place, said);
  } catch (const std::exception&) {
    fall_into_doubt(said, "the response could not be encoded");
  } catch (...) {
    fall_into_doubt(said, "the response could not be encoded");
  }
}

/// Runs the payment. Whatever it throws becomes a report; a forced unwind alone is passed on.
inline flow::Said ask_pay(const Question& question, Attempt& attempt, void* about) {
  flow::Said said;
  question.forget(question.place);
  try {
    question.ask(question.callable, about, question.place);
  } catch (const NotExecuted& proof) {
    fall_into_doubt(said, proof.what());
    if (!attempt.checkpoint_saved()) said.report = Report::not_executed;
    return said;
  } catch (const std::exception& thrown) {
    fall_into_doubt(said, thrown.what());
    return said;
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
    fall_into_doubt(said, "the payment callable threw something that is no std::exception");
    return said;
  }
  read_report(question, said);
  return said;
}

/// Asks the provider. Whatever this throws, `NotExecuted` included, proves nothing.
inline flow::Said ask_provider(const Question& question, const Record& record) {
  flow::Said said;
  question.forget(question.place);
  try {
    question.ask(question.callable, const_cast<Record*>(&record), question.place);
  } catch (const std::exception& thrown) {
    fall_into_doubt(said, thrown.what());
    return said;
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
    fall_into_doubt(said, "the reconcile function threw something that is no std::exception");
    return said;
  }
  read_report(question, said);
  return said;
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
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
      throw Error(errc::codec_failure,
                  "the stored response cannot be decoded; it is still in the store, untouched");
    }
  }
}

/// The typed outcome. In doubt it carries what was returned, if anything was.
template <class R>
Outcome<R> make_outcome(Answer&& answer, ReportPlace<R>& place) {
  flow::Ending& ending = answer.ending;
  OutcomeParts<R> parts;
  parts.status = ending.status;
  parts.final_state = ending.final_state;
  parts.retry_after = ending.retry_after;
  parts.reason = std::move(ending.reason);
  parts.cause = std::move(ending.cause);
  R* reported = place.report ? place.report->response_if() : nullptr;
  if (ending.status == Status::completed && ending.response_in == flow::ResponseIn::record) {
    parts.replayed = true;
    parts.value.emplace(decode_response<R>(std::move(answer.response)));
  } else if (reported && (ending.status == Status::completed || ending.status == Status::in_doubt)) {
    parts.final_state = place.report->report() == Report::succeeded ? State::succeeded : State::declined;
    parts.value.emplace(std::move(*reported));
  }
  return Outcome<R>(std::move(parts));
}

}  // namespace paidonce::inline v1::detail
