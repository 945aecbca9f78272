// Any bytes as a request: its head, and its body in chunks in pieces of any size. Refused, or the same
// request whichever way it arrives and is written.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <paidonce/http/chunked_body.hpp>
#include <paidonce/http/request_head.hpp>

#include "fuzz/require.hpp"

using namespace paidonce;
using fuzz::require;

namespace {

constexpr std::size_t largest = 128;

/// Memory of exactly this size: AddressSanitizer sees a byte too many.
class Piece {
 public:
  explicit Piece(std::string_view text) : size_(text.size()), bytes_(new char[text.size()]) {
    if (size_ > 0) std::memcpy(bytes_.get(), text.data(), size_);
  }
  std::string_view view() const noexcept { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

std::string written(const http::RequestHead& head) {
  std::string text;
  ((text += head.method) += ' ') += head.target;
  text += " HTTP/1.1\r\n";
  bool host = false;
  for (const auto& [name, value] : head.fields) {
    host = host || http::detail::same_name(name, "Host");
    (((text += name) += ":\t") += value) += " \r\n";
  }
  if (!host) text += "Host:\r\n";
  return text += "\r\n";
}

bool same_fields(const http::RequestHead& a, const http::RequestHead& b, std::size_t count) {
  for (std::size_t at = 0; at < count; ++at)
    if (a.fields[at].name != b.fields[at].name || a.fields[at].value != b.fields[at].value) return false;
  return true;
}

void check_head(std::string_view text) {
  const Piece piece(text);
  const auto read = http::read_request_head(piece.view());
  if (const auto* why = std::get_if<http::Refusal>(&read)) {
    require(why->status >= 400 && why->status < 600 && !why->detail.empty(), "a refusal says why");
    return;
  }
  const auto& head = std::get<http::RequestHead>(read);
  require(head.target.starts_with('/') || head.target == "*", "a target is a path");
  require(!head.chunked || head.length == 0, "a body has one length");
  require(head.fields.size() <= http::most_fields, "there are so many fields");
  for (const auto& [name, value] : head.fields) {
    require(!name.empty() && name.find_first_of(" \t\r\n:") == name.npos, "a name is one word");
    require(value.find_first_of({"\r\n\0", 3}) == value.npos, "a value is on one line");
  }
  if (head.fields.size() == http::most_fields) return;  // no room for a Host
  const std::string again_text = written(head);
  const auto again = http::read_request_head(again_text);
  const auto* same = std::get_if<http::RequestHead>(&again);
  require(same != nullptr, "what is accepted is accepted when it is written again");
  require(same->method == head.method && same->target == head.target && same->length == head.length &&
              same->chunked == head.chunked && same_fields(head, *same, head.fields.size()),
          "what is written again reads back as the same");
  if (head.keeps_alive) require(same->keeps_alive, "its connection is kept as long");
}

struct Taken {
  std::size_t count = 0;
  bool ended = false;
  int status = 0;
  std::string body;
  bool operator==(const Taken&) const = default;
};

/// In pieces whose sizes are those of `sizes`, over and over.
Taken take(std::string_view sent, std::string_view sizes) {
  http::ChunkedBody chunks(largest);
  Taken taken;
  for (std::size_t at = 0; taken.count < sent.size(); ++at) {
    const std::size_t size =
        sizes.empty() ? sent.size() : 1 + static_cast<unsigned char>(sizes[at % sizes.size()]) % 64;
    const Piece piece(sent.substr(taken.count, size));
    const std::size_t count = chunks.take(piece.view());
    require(count <= piece.view().size(), "no more is taken than there was");
    require(chunks.body().size() <= largest, "a body has so many bytes");
    taken.count += count;
    if (count == piece.view().size()) continue;
    require(chunks.ended() || chunks.refusal().status != 0, "all is taken before the end");
    break;
  }
  require(chunks.take({}) == 0, "of nothing, nothing is taken");
  taken.ended = chunks.ended();
  taken.status = chunks.refusal().status;
  taken.body = std::move(chunks.body());
  require(!taken.ended || taken.status == 0, "what has ended is not refused");
  return taken;
}

void check_body(std::string_view sent, std::string_view sizes) {
  const Taken whole = take(sent, {});
  require(take(sent, sizes) == whole, "where a body is split makes no difference");
  require(take(sent, {"\0", 1}) == whole, "byte by byte, it is the same");
  if (!whole.ended) return;
  require(take(sent.substr(0, whole.count), sizes) == whole, "what follows does not count");
  require(whole.count > 0 && !take(sent.substr(0, whole.count - 1), sizes).ended, "it ends at its end");
  // Written in chunks of other sizes.
  std::string text;
  for (std::size_t at = 0; at < whole.body.size();) {
    const std::size_t size = std::min<std::size_t>(whole.body.size() - at, 1 + sent.size() % 15);
    ((text += "0123456789ABCDEF"[size]) += ";a=b\r\n") += whole.body.substr(at, size);
    text += "\r\n";
    at += size;
  }
  text += "0\r\nExpires: never\r\n\r\n";
  require(take(text, sizes) == Taken{text.size(), true, 0, whole.body}, "written again, it is the same");
}

}  // namespace

/// One byte: how many bytes follow that are the sizes of pieces. Then a request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  const std::size_t count = std::min<std::size_t>(static_cast<unsigned char>(input[0]) % 16, size - 1);
  const std::string_view sizes = input.substr(1, count);
  input.remove_prefix(1 + count);
  const auto end = input.find("\r\n\r\n");
  const std::size_t head = end == input.npos ? input.size() : end + 4;
  check_head(input.substr(0, head));
  check_body(input.substr(head), sizes);
  check_body(input, sizes);  // also without a head in front
  return 0;
}
