#pragma once
// What a person's word does: the flow again, which is told the answer instead of asking for it. Part of
// guard.hpp.

#include <paidonce/guard.hpp>

namespace paidonce::inline v1 {

template <Store S, Lock L, Clock C, Observer O>
detail::Answer IdempotencyGuard<S, L, C, O>::resolve_as(const Resolved& resolved, Report report,
                                                        detail::Inquiry& said, std::string_view format,
                                                        std::string_view actor, std::string_view why) {
  const char* what = report == Report::succeeded      ? "resolved as succeeded by "
                     : report == Report::declined     ? "resolved as declined by "
                     : report == Report::not_executed ? "released by "
                                                      : nullptr;
  if (!what)
    throw Error(errc::invalid_options,
                "resolve takes succeeded, declined or not_executed: a person's doubt settles nothing");
  std::string annotation = what;
  annotation.append(actor).append(": ").append(why);
  Call call{resolved.key, nullptr, nullptr, format, said};
  call.attempt_id = resolved.attempt_id;
  call.purpose = flow::Purpose::resolve;
  call.annotation = annotation;
  return run(call);
}

template <Store S, Lock L, Clock C, Observer O>
void IdempotencyGuard<S, L, C, O>::resolve(const IdempotencyKey& key, State state, std::string_view bytes,
                                           std::string_view format, std::string_view actor,
                                           std::string_view why, std::uint64_t attempt_id) {
  if (state == State::in_progress || state == State::in_doubt)
    throw Error(errc::invalid_options, "resolve takes State::succeeded, State::declined or State::released");
  detail::RawInquiry inquiry;
  flow::Said& raw = inquiry.said;
  raw.report = state == State::succeeded  ? Report::succeeded
               : state == State::declined ? Report::declined
                                          : Report::not_executed;
  if (state != State::released) {
    raw.state_of_response = state;
    raw.response = bytes;
    raw.response_format = format;
  }
  const detail::Answer answer = resolve_as({key, attempt_id}, raw.report, inquiry, format, actor, why);
  if (answer.ending.status != Status::completed && answer.ending.status != Status::not_executed)
    throw Error(errc::store_unavailable,
                "nothing was resolved, or nobody knows: look at the payment again, then repeat the call");
}

}  // namespace paidonce::inline v1
