#pragma once
// What a client knows after each try of a request, and whether another one under the same key makes sense.
// Pure: no sockets, no clock.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>
#include <paidonce/http/request_key.hpp>

namespace paidonce::inline v1::http {

/// What a complete reply says about the request.
enum class ReplyMeaning : std::uint8_t {
  settled,      ///< the answer to this key, whichever of the tries was carried out
  turned_away,  ///< this try did nothing, and the next would do nothing either; an earlier one may have
  again,        ///< not the answer yet: ask again with the same key
};

namespace detail {

/// The text of that member of a problem (RFC 9457), or its literal; empty without one. Within a string a
/// quote has a backslash before it, so what is found is no part of another text.
inline std::string_view problem_member(const Response& reply, std::string_view quoted_name) {
  const std::string* type = reply.find("Content-Type");
  if (type == nullptr || !std::string_view(*type).starts_with("application/problem+json")) return {};
  constexpr std::string_view blanks = " \t\r\n";
  const std::string_view body = reply.body;
  auto at = body.find(quoted_name);
  if (at == body.npos) return {};
  at = body.find_first_not_of(blanks, at + quoted_name.size());
  if (at == body.npos || body[at] != ':') return {};
  at = body.find_first_not_of(blanks, at + 1);
  if (at == body.npos) return {};
  const bool text = body[at] == '"';
  if (text) ++at;
  const auto end = body.find_first_of(text ? "\"" : ",} \t\r\n", at);
  return end == body.npos ? std::string_view{} : body.substr(at, end - at);
}

/// Whether the server says that it is proven that nothing happened under this key (http/problem.hpp).
inline bool says_new_key_is_safe(const Response& reply) {
  return problem_member(reply, "\"new_key_is_safe\"") == "true";
}

}  // namespace detail

/// Whether the reply comes from memory, of an earlier request with this key.
inline bool is_replayed(const Response& reply) {
  const std::string* told = reply.find("Idempotent-Replayed");
  return told != nullptr && detail::same_name(*told, "true");
}

/// The meaning of a reply unless another function is given:
///
/// | status                      | meaning       | because                                                  |
/// | --------------------------- | ------------- | -------------------------------------------------------- |
/// | 2xx, 303                    | `settled`     | it was carried out, or taken on; now or before           |
/// | 402                         | `settled`     | declined, and stays declined for this key                |
/// | 409 of type `in-progress`,  | `again`       | another try with this key is being carried out           |
/// | or with `Retry-After`       |               |                                                          |
/// | 409 otherwise               | `turned_away` | refused, whatever is done again                          |
/// | 408, 423, 425, 429, 499     | `again`       | too slow, locked, too early, too many: it may pass later |
/// | 5xx, and no final status    | `again`       | it broke before or after the payment: the same key is    |
/// |                             |               | never carried out twice, so asking again settles it      |
/// | other 3xx and 4xx           | `turned_away` | a redirect is never followed; the others were refused    |
inline ReplyMeaning meaning_of_reply(const Response& reply) {
  const int status = reply.status;
  if (status < 200 || status > 499) return ReplyMeaning::again;
  if (status < 300) return ReplyMeaning::settled;
  switch (status) {
    case 303:
    case 402: return ReplyMeaning::settled;
    case 408:
    case 423:
    case 425:
    case 429:
    case 499: return ReplyMeaning::again;
    case 409: {
      const std::string_view type = detail::problem_member(reply, "\"type\"");
      if (type.ends_with("refused")) return ReplyMeaning::turned_away;
      if (type.ends_with("in-progress") || reply.find("Retry-After") != nullptr) return ReplyMeaning::again;
      break;
    }
    default: break;
  }
  return ReplyMeaning::turned_away;
}

/// Whether the reply says where it ends (RFC 9112, section 6.3): by one length, or in chunks. One that ends
/// where its connection does looks the same when it was cut off.
inline bool tells_its_end(const Response& reply) {
  const std::string* length = nullptr;
  std::size_t codings = 0;
  bool chunked = false;
  for (const Field& field : reply.fields) {
    if (detail::same_name(field.name, "Transfer-Encoding")) {
      ++codings;
      chunked = detail::same_name(field.value, "chunked");
    } else if (detail::same_name(field.name, "Content-Length")) {
      if (length != nullptr && *length != field.value) return false;
      length = &field.value;
    }
  }
  if (codings != 0) return codings == 1 && chunked && length == nullptr;
  return length != nullptr && !length->empty() && length->size() <= 18 &&
         length->find_first_not_of("0123456789") == length->npos;
}

/// What a request came to.
enum class SendStatus : std::uint8_t {
  answered,      ///< there is a reply, and it is what the request came to
  unknown,       ///< it may have happened: ask again with this key; a new one is not safe
  nothing_sent,  ///< never did a byte of it leave
};

constexpr std::string_view to_string(SendStatus status) noexcept {
  switch (status) {
    case SendStatus::answered: return "answered";
    case SendStatus::unknown: return "unknown";
    case SendStatus::nothing_sent: return "nothing_sent";
  }
  return "unknown";
}

/// How a try ended.
enum class TryEnd : std::uint8_t {
  replied,         ///< a complete reply came
  not_connected,   ///< no connection came about, so nothing was sent
  not_trusted,     ///< likewise, and another try would not help: the server's certificate, this host's set-up
  no_whole_reply,  ///< the connection broke, the time was over, or what came is not a whole reply
};

constexpr std::string_view to_string(TryEnd end) noexcept {
  switch (end) {
    case TryEnd::replied: return "a reply came";
    case TryEnd::not_connected: return "no connection came about: nothing was sent";
    case TryEnd::not_trusted:
      return "no connection came about: the server's certificate is not trusted, or this host cannot connect";
    case TryEnd::no_whole_reply: return "the request was sent, and no whole reply came";
  }
  return "unknown";
}

/// Whether another try makes sense.
enum class NextStep : std::uint8_t { finish, try_again };

/// What is known of a request after its tries so far. It only ever knows more: that an earlier try may have
/// been carried out is not forgotten because a later one was turned away.
class SendProgress {
 public:
  explicit SendProgress(const RequestKey& key)
      : status_(key.may_have_been_sent() ? SendStatus::unknown : SendStatus::nothing_sent),
        doubt_(key.may_have_been_sent()) {}

  /// After a complete reply.
  NextStep replied(Response reply, ReplyMeaning meaning) {
    last_ = TryEnd::replied;
    reply_ = std::move(reply);
    switch (meaning) {
      case ReplyMeaning::settled: status_ = SendStatus::answered; return NextStep::finish;
      case ReplyMeaning::turned_away:
        status_ = doubt_ ? SendStatus::unknown : SendStatus::answered;
        return NextStep::finish;
      case ReplyMeaning::again: break;
    }
    if (!detail::says_new_key_is_safe(*reply_)) doubt_ = true;
    status_ = doubt_ ? SendStatus::unknown : SendStatus::answered;
    return is_replayed(*reply_) ? NextStep::finish : NextStep::try_again;  // stored: it will not change
  }
  /// After a try that got none.
  NextStep failed(TryEnd how) {
    last_ = how;
    if (how == TryEnd::not_trusted) return NextStep::finish;
    if (how == TryEnd::not_connected) return NextStep::try_again;
    doubt_ = true;
    status_ = SendStatus::unknown;
    return NextStep::try_again;
  }

  SendStatus status() const noexcept { return status_; }
  /// How the last try ended; none: there was no try.
  std::optional<TryEnd> last() const noexcept { return last_; }
  /// The last complete one.
  const std::optional<Response>& reply() const noexcept { return reply_; }
  /// `safe` where nothing was ever sent, or the server has said so and no try was left without an answer.
  NewKey new_key() const {
    if (doubt_) return NewKey::unsafe;
    const bool safe = reply_ ? detail::says_new_key_is_safe(*reply_) : status_ == SendStatus::nothing_sent;
    return safe ? NewKey::safe : NewKey::unsafe;
  }

 private:
  SendStatus status_;
  bool doubt_;  // a try may have been carried out without telling
  std::optional<TryEnd> last_ = {};
  std::optional<Response> reply_ = {};
};

}  // namespace paidonce::inline v1::http
