// What the compiler can say about fingerprints.

#include <paidonce/fingerprint.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

using namespace paidonce;

static_assert(std::is_nothrow_default_constructible_v<Fingerprint>);
static_assert(std::is_nothrow_copy_constructible_v<Fingerprint>);
static_assert(std::is_nothrow_move_constructible_v<Fingerprint>);
static_assert(!std::is_constructible_v<Fingerprint, const char*>,
              "hex text is read by name, not by accident");
static_assert(!std::is_constructible_v<bool, Fingerprint>);
static_assert(noexcept(std::declval<const Fingerprint&>() == std::declval<const Fingerprint&>()));
static_assert(noexcept(std::declval<const Fingerprint&>().matches(std::declval<const Fingerprint&>())));
static_assert(sizeof(Fingerprint) <= 56);

static_assert(static_cast<int>(FingerprintAlgorithm::nothing) == 0);
static_assert(static_cast<int>(FingerprintAlgorithm::sha_256) == 1);
static_assert(static_cast<int>(FingerprintAlgorithm::hmac_sha_256) == 2);

static_assert(!std::is_default_constructible_v<Fingerprinter>, "a Fingerprinter has a secret");
static_assert(!std::is_convertible_v<const char*, Fingerprinter>);
static_assert(std::is_copy_constructible_v<Fingerprinter>);
static_assert(!std::is_copy_constructible_v<FingerprintSink> &&
              !std::is_default_constructible_v<FingerprintSink>);

namespace regular {
struct Regular {  // as Record is
  Fingerprint fingerprint;
  int other = 0;
  friend bool operator==(const Regular&, const Regular&) = default;
};
}  // namespace regular
static_assert(std::is_aggregate_v<regular::Regular> && std::regular<regular::Regular>);
