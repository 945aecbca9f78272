#pragma once
// JSON bodies that mean the same, as the same bytes. Component paidonce::json.
//
// The bytes are JSON without blanks: members sorted by the bytes of their names (UTF-8), numbers as
// canonical_json/number.hpp writes them, and in strings only \" \\ \b \f \n \r \t and \u001f, in lower case,
// where RFC 8259 asks for an escape. They are what is fingerprinted: they never change between releases.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <paidonce/http/body_malformed.hpp>
#include <paidonce/http/canonical_json/number.hpp>
#include <paidonce/http/canonical_json/pointer.hpp>

namespace paidonce::inline v1::http {

namespace detail {

/// Takes what nlohmann-json's SAX parser finds (it keeps no stack of calls, and says what it read of a
/// number) and writes it down. Members are put in order where their object ends, so a byte is moved at most
/// as often as it is nested.
class JsonCanonicaliser {
 public:
  static constexpr std::size_t max_depth = 128;

  JsonCanonicaliser(const std::vector<JsonPointer>& left_out, std::size_t size)
      : left_out_(left_out), size_(size) {
    out_.reserve(size);
  }

  std::string take() && { return std::move(out_); }

  // ---- what the parser calls; all but `key` and the beginnings end a value ----

  bool null() { return literal("null"); }
  bool boolean(bool value) { return literal(value ? "true" : "false"); }
  bool number_integer(std::int64_t number) { return whole_number(number); }
  bool number_unsigned(std::uint64_t number) { return whole_number(number); }
  bool number_float(double, const std::string& text) {
    begin_value();
    append_number(out_, text);
    return end_value();
  }
  bool string(const std::string& text) {
    begin_value();
    append_string(text);
    return end_value();
  }
  bool binary(const nlohmann::json::binary_t&) { return false; }  // JSON has none

  bool start_object(std::size_t) { return open(Kind::object, '{'); }
  bool key(const std::string& name) {
    if (out_.back() != '{') out_ += ',';
    frames_.back().position = members_.size();
    members_.push_back({names_.size(), name.size(), out_.size()});
    names_ += name;
    append_string(name);
    out_ += ':';
    return true;
  }
  bool end_object() {
    const auto first = members_.begin() + static_cast<std::ptrdiff_t>(frames_.back().first_member);
    const auto by_name = [this](const Member& a, const Member& b) { return name_of(a) < name_of(b); };
    const bool in_order = std::is_sorted(first, members_.end(), by_name);
    if (!in_order) std::sort(first, members_.end(), by_name);
    if (std::adjacent_find(first, members_.end(), [this](const Member& a, const Member& b) {
          return name_of(a) == name_of(b);
        }) != members_.end())
      throw BodyMalformed("The JSON has an object with two members of the same name: send one of them.");
    if (!in_order || std::any_of(first, members_.end(), [](const Member& m) { return m.left_out; })) {
      ordered_.clear();
      for (auto member = first; member != members_.end(); ++member) {
        if (member->left_out) continue;
        if (!ordered_.empty()) ordered_ += ',';
        ordered_.append(out_, member->begin, member->end - member->begin);
      }
      out_.resize(frames_.back().begin);
      out_ += ordered_;
    }
    members_.erase(first, members_.end());
    return close('}');
  }

  bool start_array(std::size_t) { return open(Kind::array, '['); }
  bool end_array() { return close(']'); }

  template <class Exception>
  [[noreturn]] bool parse_error(std::size_t position, const std::string&, const Exception& exception) {
    if (exception.id == 406)
      throw BodyMalformed("The JSON has a number of 1.8e308 or more: send a smaller one.");
    if (position > size_) throw BodyMalformed("The body ends before its JSON does.");
    throw BodyMalformed("The body is not JSON: see byte " + std::to_string(position) + ".");
  }

 private:
  enum class Kind : std::uint8_t { object, array };

  /// An object or array that is open.
  struct Frame {
    Kind kind;
    std::size_t begin;         ///< in `out_`: behind its bracket, or where an array's element begins
    std::size_t first_member;  ///< in `members_`
    std::size_t position;      ///< the index of the current element, or that of the member in `members_`
  };
  struct Member {
    std::size_t name, name_size;  ///< in `names_`
    std::size_t begin, end = 0;   ///< in `out_`, name and value
    bool left_out = false;
  };

  std::string_view name_of(const Member& member) const {
    return std::string_view(names_).substr(member.name, member.name_size);
  }

  void begin_value() {
    if (frames_.empty() || frames_.back().kind == Kind::object) return;
    frames_.back().begin = out_.size();
    if (out_.back() != '[') out_ += ',';
  }

  bool end_value() {
    if (frames_.empty()) return true;
    Frame& frame = frames_.back();
    if (frame.kind == Kind::array) {
      if (is_left_out()) out_.resize(frame.begin);
      ++frame.position;
    } else {
      members_[frame.position].end = out_.size();
      members_[frame.position].left_out = is_left_out();
    }
    return true;
  }

  /// Whether the current value is one of those.
  bool is_left_out() const {
    return std::any_of(left_out_.begin(), left_out_.end(), [this](const JsonPointer& pointer) {
      return pointer.size() == frames_.size() &&
             std::equal(pointer.rbegin(), pointer.rend(), frames_.rbegin(),
                        [this](const PointerStep& step, const Frame& frame) {
                          return frame.kind == Kind::array ? step.index == frame.position
                                                           : step.name == name_of(members_[frame.position]);
                        });
    });
  }

  bool open(Kind kind, char bracket) {
    if (frames_.size() == max_depth)
      throw BodyMalformed("The JSON is nested more than " + std::to_string(max_depth) + " deep.");
    begin_value();
    out_ += bracket;
    frames_.push_back({kind, out_.size(), members_.size(), 0});
    return true;
  }
  bool close(char bracket) {
    out_ += bracket;
    frames_.pop_back();
    return end_value();
  }

  bool literal(std::string_view text) {
    begin_value();
    out_ += text;
    return end_value();
  }

  template <class Number>
  bool whole_number(Number number) {
    char digits[20];  // of -2^63, and of 2^64 - 1
    const char* const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    begin_value();
    append_number(out_, {digits, static_cast<std::size_t>(end - digits)});
    return end_value();
  }

  void append_string(std::string_view text) {
    out_ += '"';
    for (const char c : text) {
      switch (c) {
        case '"': out_ += "\\\""; break;
        case '\\': out_ += "\\\\"; break;
        case '\b': out_ += "\\b"; break;
        case '\f': out_ += "\\f"; break;
        case '\n': out_ += "\\n"; break;
        case '\r': out_ += "\\r"; break;
        case '\t': out_ += "\\t"; break;
        default:
          if (static_cast<unsigned char>(c) < 0x20) {
            out_ += "\\u00";
            out_ += static_cast<char>('0' + (c >> 4));
            out_ += "0123456789abcdef"[c & 15];
          } else {
            out_ += c;
          }
      }
    }
    out_ += '"';
  }

  const std::vector<JsonPointer>& left_out_;
  std::size_t size_;
  std::string out_ = {};
  std::string ordered_ = {};  // scratch
  std::string names_ = {};    // of all members so far, escapes resolved
  std::vector<Member> members_ = {};
  std::vector<Frame> frames_ = {};
};

}  // namespace detail

/// A `BodyForm`. Bodies become the same bytes if and only if they are the same JSON: blanks, the order of
/// members, escapes and the way to write a number count for nothing. Numbers are compared exactly, as
/// decimals: 1, 1.0 and 10e-1 are one, 1.0000000000000001 is another. The order of elements counts, and so
/// does how a letter is composed (nothing is normalised). Immutable; safe to call from any number of threads.
class CanonicalJson {
 public:
  /// `left_out`: JSON pointers (RFC 6901) of what is no part of what is asked for, such as
  /// "/metadata/trace_id"; where a body has no such member, nothing is left out. What is left out must still
  /// be JSON. Throws `Error{invalid_options}` for what is no pointer, and for "", the whole body.
  explicit CanonicalJson(const std::vector<std::string>& left_out = {}) {
    for (const std::string& pointer : left_out) left_out_.push_back(detail::parse_pointer(pointer));
  }

  /// Throws `BodyMalformed` for what is no JSON text (RFC 8259): no body at all, bytes behind the value, text
  /// that is not UTF-8, half a surrogate pair. And for what programs are known to understand differently (RFC
  /// 7493): two members of one name, numbers beyond what a double holds; and nesting deeper than 128.
  std::string operator()(std::string_view body) const {
    if (body.empty()) throw BodyMalformed("The body is empty: JSON is expected.");
    // To the parser this byte is the end of the text, wherever it is.
    if (const auto nul = body.find('\0'); nul != body.npos)
      throw BodyMalformed("The body is not JSON: see byte " + std::to_string(nul + 1) + ".");
    detail::JsonCanonicaliser canonical(left_out_, body.size());
    nlohmann::json::sax_parse(body.data(), body.data() + body.size(), &canonical);
    return std::move(canonical).take();
  }

 private:
  std::vector<detail::JsonPointer> left_out_ = {};
};

}  // namespace paidonce::inline v1::http
