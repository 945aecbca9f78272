#pragma once
// A record and its key in one block of memory that never changes once it is made:
//
//   head (64 bytes) | numbers (24 bytes, or 56 where they do not fit) | key | texts
//
// The numbers are the attempts, three times, and the lengths of the texts. Small ones take little: times are
// kept as distances from `created_at`.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// The head of such a block, and what can be asked of it.
class PackedRecord {
 public:
  struct Free {
    void operator()(const PackedRecord* block) const noexcept {
      ::operator delete(const_cast<PackedRecord*>(block));
    }
  };
  using Owner = std::unique_ptr<const PackedRecord, Free>;

  /// With so many bytes `behind` it, uninitialised, for whoever keeps it. Throws std::bad_alloc, and
  /// `store_full` for a text of 4 GiB and more.
  [[gnu::noinline]] static Owner make(std::string_view key, std::uint32_t hash, const Record& record,
                                      std::size_t behind = 0) {
    const auto texts = texts_of<const std::string>(record);
    std::size_t size = sizeof(PackedRecord) + key.size();
    for (const std::string* text : texts) {
      if (text->size() > UINT32_MAX) refuse("a record field is longer than 4 GiB");
      size += text->size();
    }
    const Wide wide = numbers_of(record, texts);
    Narrow narrow;
    const bool fits = narrowed(wide, record.created_at.time_since_epoch().count(), narrow);
    size += fits ? sizeof(Narrow) : sizeof(Wide);

    void* const memory = ::operator new(size + behind);
    const Layout layout = fits ? Layout::narrow : Layout::wide;
    auto* const head =
        ::new (memory) PackedRecord(hash, static_cast<std::uint16_t>(key.size()), layout, record);
    char* out = static_cast<char*>(memory) + sizeof(PackedRecord);
    if (fits)
      copy(out, &narrow, sizeof(Narrow));
    else
      copy(out, &wide, sizeof(Wide));
    copy(out, key.data(), key.size());
    for (const std::string* text : texts) copy(out, text->data(), text->size());
    return Owner(head);
  }

  /// The block that `bytes()` was taken of, which must be right; `hash` is of its key. Throws
  /// std::bad_alloc.
  static Owner copy_of(std::string_view bytes, std::uint32_t hash, std::size_t behind = 0) {
    void* const memory = ::operator new(bytes.size() + behind);
    std::memcpy(memory, bytes.data(), bytes.size());
    auto* const head = static_cast<PackedRecord*>(memory);
    head->hash_ = hash;
    return Owner(head);
  }

  /// Throws `store_full`.
  [[noreturn, gnu::cold, gnu::noinline]] static void refuse(const char* why) {
    throw Error(errc::store_full, why);
  }

  std::uint32_t hash() const noexcept { return hash_; }
  Version version() const noexcept { return version_; }
  State state() const noexcept { return state_; }
  std::string_view key() const noexcept { return {behind_head() + numbers_size(), key_size_}; }
  std::uint64_t attempt_id() const noexcept { return attempt_id_; }
  Timestamp updated_at() const noexcept { return time(numbers().updated_at); }

  /// Asks for the memory behind the head, as much as most have.
  void prefetch() const noexcept {
    for (std::size_t line = 1; line < 6; ++line)
      __builtin_prefetch(reinterpret_cast<const char*>(this) + 64 * line);
  }

  /// All of it, up to what was asked for behind it.
  std::string_view bytes() const noexcept {
    const Wide found = numbers();
    std::size_t size = sizeof(PackedRecord) + numbers_size() + key_size_;
    for (const std::uint32_t text : found.sizes) size += text;
    return {reinterpret_cast<const char*>(this), size};
  }

  /// Whether its retention is over: only what is completed, or released with no step taken, ever is.
  bool expired(Timestamp now) const noexcept {
    const bool final = state_ == State::succeeded || state_ == State::declined;
    if (!final && state_ != State::released) return false;
    const Wide found = numbers();
    return now >= time(found.expires_at) && (final || found.sizes[checkpoint_at] == 0);
  }

  /// What was asked for behind it.
  char* behind() const noexcept {
    const std::string_view own = bytes();
    return const_cast<char*>(own.data() + own.size());
  }

  /// Fills a record that is as `Record{}`. Throws std::bad_alloc.
  [[gnu::noinline]] void unpack(Record& record) const {
    fill(record, [](std::string& text, const char* from, std::size_t size) {
      if (size > 0) text = std::string(from, size);  // cheaper than assign
    });
  }

  /// Fills any record, whose strings keep their memory. Throws std::bad_alloc.
  [[gnu::noinline]] void unpack_over(Record& record) const {
    fill(record, [](std::string& text, const char* from, std::size_t size) {
      if (size > 0)
        text.assign(from, size);
      else
        text.clear();
    });
  }

 private:
  static constexpr std::size_t checkpoint_at = 2;

  enum class Layout : std::uint8_t { narrow, wide };

  /// As most records have them.
  struct Narrow {
    std::int32_t updated_at, lease_until, expires_at;  // from `created_at`, or `not_set` for a time of zero
    std::uint16_t attempts;
    std::uint16_t checkpoint, response;
    std::uint8_t amount, description, response_format, note;
    std::uint16_t unused;
  };
  static_assert(sizeof(Narrow) == 24);  // no bytes of nobody: the block is written to files
  static constexpr std::int32_t not_set = INT32_MIN + 1;
  static constexpr std::int32_t too_far = INT32_MIN;  // only while packing

  struct Wide {
    std::int64_t updated_at, lease_until, expires_at;  // since 1970
    std::uint32_t sizes[6];
    std::uint32_t attempts;
    std::uint32_t unused;
  };

  template <class SetText>
  void fill(Record& record, const SetText& set_text) const {
    const Wide found = numbers();
    record.fingerprint =
        Fingerprint::from_digest(static_cast<FingerprintAlgorithm>(layout_and_algorithm_ >> 1), digest_);
    record.state = state_;
    record.version = version_;
    record.attempt_id = attempt_id_;
    record.attempts = found.attempts;
    record.created_at = Timestamp(Duration(created_at_));
    record.updated_at = time(found.updated_at);
    record.lease_until = time(found.lease_until);
    record.expires_at = time(found.expires_at);
    const char* from = behind_head() + numbers_size() + key_size_;
    const auto texts = texts_of<std::string>(record);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      set_text(*texts[i], from, found.sizes[i]);
      from += found.sizes[i];
    }
  }

  PackedRecord(std::uint32_t hash, std::uint16_t key_size, Layout layout, const Record& record) noexcept
      : hash_(hash),
        key_size_(key_size),
        state_(record.state),
        layout_and_algorithm_(static_cast<std::uint8_t>(
            static_cast<unsigned>(record.fingerprint.algorithm()) << 1 | static_cast<unsigned>(layout))),
        version_(record.version),
        attempt_id_(record.attempt_id),
        created_at_(record.created_at.time_since_epoch().count()),
        digest_(record.fingerprint.digest()) {}

  /// In the order in which they are kept; `checkpoint_at` is a place in it.
  template <class Text, class AnyRecord>
  static std::array<Text*, 6> texts_of(AnyRecord& record) noexcept {
    return {&record.amount,   &record.description,     &record.checkpoint,
            &record.response, &record.response_format, &record.note};
  }

  const char* behind_head() const noexcept {
    return reinterpret_cast<const char*>(this) + sizeof(PackedRecord);
  }

  std::size_t numbers_size() const noexcept {
    return (layout_and_algorithm_ & 1) == 0 ? sizeof(Narrow) : sizeof(Wide);
  }

  static Timestamp time(std::int64_t count) noexcept { return Timestamp(Duration(count)); }

  static Wide numbers_of(const Record& record, const std::array<const std::string*, 6>& texts) noexcept {
    Wide wide{};
    wide.updated_at = record.updated_at.time_since_epoch().count();
    wide.lease_until = record.lease_until.time_since_epoch().count();
    wide.expires_at = record.expires_at.time_since_epoch().count();
    wide.attempts = record.attempts;
    for (std::size_t i = 0; i < texts.size(); ++i)
      wide.sizes[i] = static_cast<std::uint32_t>(texts[i]->size());
    return wide;
  }

  /// Puts the numbers where they take less; false where one is too large for that.
  static bool narrowed(const Wide& wide, std::int64_t created, Narrow& narrow) noexcept {
    if (wide.attempts > UINT16_MAX || wide.sizes[checkpoint_at] > UINT16_MAX || wide.sizes[3] > UINT16_MAX ||
        (wide.sizes[0] | wide.sizes[1] | wide.sizes[4] | wide.sizes[5]) > UINT8_MAX)
      return false;
    narrow = {.updated_at = distance(wide.updated_at, created),
              .lease_until = distance(wide.lease_until, created),
              .expires_at = distance(wide.expires_at, created),
              .attempts = static_cast<std::uint16_t>(wide.attempts),
              .checkpoint = static_cast<std::uint16_t>(wide.sizes[checkpoint_at]),
              .response = static_cast<std::uint16_t>(wide.sizes[3]),
              .amount = static_cast<std::uint8_t>(wide.sizes[0]),
              .description = static_cast<std::uint8_t>(wide.sizes[1]),
              .response_format = static_cast<std::uint8_t>(wide.sizes[4]),
              .note = static_cast<std::uint8_t>(wide.sizes[5]),
              .unused = 0};
    return narrow.updated_at != too_far && narrow.lease_until != too_far && narrow.expires_at != too_far;
  }

  static std::int32_t distance(std::int64_t time, std::int64_t created) noexcept {
    if (time == 0) return not_set;
    // Modulo 2^64, as `widened` goes back.
    const auto from =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(created));
    return from > not_set && from <= INT32_MAX ? static_cast<std::int32_t>(from) : too_far;
  }

  std::int64_t widened(std::int32_t from_created) const noexcept {
    if (from_created == not_set) return 0;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(created_at_) +
                                     static_cast<std::uint64_t>(std::int64_t{from_created}));
  }

  Wide numbers() const noexcept {
    Wide wide;
    if ((layout_and_algorithm_ & 1) != 0) {
      std::memcpy(&wide, behind_head(), sizeof wide);
      return wide;
    }
    Narrow narrow;
    std::memcpy(&narrow, behind_head(), sizeof narrow);
    return {.updated_at = widened(narrow.updated_at),
            .lease_until = widened(narrow.lease_until),
            .expires_at = widened(narrow.expires_at),
            .sizes = {narrow.amount, narrow.description, narrow.checkpoint, narrow.response,
                      narrow.response_format, narrow.note},
            .attempts = narrow.attempts,
            .unused = 0};
  }

  static void copy(char*& out, const void* from, std::size_t size) noexcept {
    if (size == 0) return;
    std::memcpy(out, from, size);
    out += size;
  }

  std::uint32_t hash_;
  std::uint16_t key_size_;
  State state_;
  std::uint8_t layout_and_algorithm_;  // the layout in the lowest bit
  Version version_;
  std::uint64_t attempt_id_;
  std::int64_t created_at_;
  std::array<std::byte, 32> digest_;
};

static_assert(sizeof(PackedRecord) == 64);

}  // namespace paidonce::inline v1::detail
