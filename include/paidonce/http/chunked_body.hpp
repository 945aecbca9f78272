#pragma once
// A body in chunks (RFC 9112, section 7.1), as its bytes arrive. No I/O.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/http/request_head.hpp>

namespace paidonce::inline v1::http {

/// Takes bytes until the body has ended. Extensions of chunks and trailer fields are read over: nothing in
/// them counts, an Idempotency-Key neither.
class ChunkedBody {
 public:
  /// `largest`: bytes of the body; as many again may be spent on what is around the chunks.
  explicit ChunkedBody(std::size_t largest) noexcept : largest_(largest) {}

  /// Takes what belongs to the body and says how many bytes that were: all of them, unless the body has ended
  /// or is refused.
  std::size_t take(std::string_view bytes) {
    std::size_t taken = 0;
    while (taken < bytes.size() && !ended() && refusal_.status == 0) {
      if (state_ == State::data) {
        const std::size_t count =
            static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - taken));
        body_.append(bytes.substr(taken, count));
        taken += count;
        left_ -= count;
        if (left_ == 0) state_ = State::data_end;
      } else {
        if (++around_ > largest_ + 4096)
          refusal_ = {413, "There is too much around the chunks of the body."};
        else
          step(bytes[taken++]);
      }
    }
    return taken;
  }

  bool ended() const noexcept { return state_ == State::ended; }
  /// Status 0: nothing is wrong so far.
  const Refusal& refusal() const noexcept { return refusal_; }
  std::string& body() noexcept { return body_; }

 private:
  enum class State : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_end,
    data_lf,
    trailer,
    trailer_lf,
    ended
  };

  void wrong() { refusal_ = {400, "The chunks of the body are malformed."}; }

  void step(char c) {
    switch (state_) {
      case State::size:
        if (detail::hex(c) && digits_ < 15) {
          ++digits_;
          left_ =
              left_ * 16 + static_cast<unsigned>(detail::digit(c) ? c - '0' : detail::lower(c) - 'a' + 10);
          return;
        }
        if (digits_ == 0 || (c != ';' && c != '\r')) return wrong();
        state_ = c == ';' ? State::extension : State::size_lf;
        return;
      case State::extension:
        if (c == '\r')
          state_ = State::size_lf;
        else if (c != '\t' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f))
          wrong();
        return;
      case State::size_lf:
        if (c != '\n') return wrong();
        if (left_ > largest_ - body_.size()) {
          refusal_ = {413, "The body is too large."};
          return;
        }
        state_ = left_ == 0 ? State::trailer : State::data;
        return;
      case State::data_end:
        if (c != '\r') return wrong();
        state_ = State::data_lf;
        return;
      case State::data_lf:
        if (c != '\n') return wrong();
        state_ = State::size;
        digits_ = 0;
        return;
      case State::trailer:
        if (c == '\r')
          state_ = State::trailer_lf;
        else if (c != '\t' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f))
          wrong();
        else
          ++line_;
        return;
      case State::trailer_lf:
        if (c != '\n') return wrong();
        state_ = line_ == 0 ? State::ended : State::trailer;
        line_ = 0;
        return;
      case State::data:
      case State::ended: return;
    }
  }

  std::size_t largest_, around_ = 0, line_ = 0;
  std::uint64_t left_ = 0;
  unsigned digits_ = 0;
  State state_ = State::size;
  Refusal refusal_{0};
  std::string body_;
};

}  // namespace paidonce::inline v1::http
