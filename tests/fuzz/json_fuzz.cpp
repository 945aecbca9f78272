// Any bytes as JSON: refused, or the same bytes whichever way it is written. A second opinion on what is JSON
// is nlohmann-json's own reader of documents.

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <paidonce/digest/hash64.hpp>
#include <paidonce/http/canonical_json.hpp>

#include "fuzz/require.hpp"
#include "support/json_rewriting.hpp"

using namespace paidonce;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const http::CanonicalJson canonicalise;
  static const http::CanonicalJson without({"/a", "/b/0", "/b/c", "/~0/~1"});
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  std::string canonical;
  try {
    canonical = canonicalise(body);
  } catch (const http::BodyMalformed& malformed) {
    const std::string_view text = malformed.what();
    require(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:") ==
                text.npos,
            "a reason is plain text");
    try {
      without(body);
    } catch (const http::BodyMalformed&) {
      return 0;
    }
    require(false, "what is left out must be JSON, too");
  }
  require(body.find('\0') == body.npos, "the whole body was read");
  require(nlohmann::json::accept(body), "what is accepted is JSON");
  require(nlohmann::json::parse(canonical) == nlohmann::json::parse(body),
          "the canonical form means the same");
  require(canonicalise(canonical) == canonical, "the canonical form is its own");
  std::minstd_rand random(static_cast<unsigned>(paidonce::detail::hash64(canonical)));
  support::JsonRewriting rewritten(random);
  for (int round = 0; round < 2; ++round) {
    const std::string other = rewritten(canonical);
    require(canonicalise(other) == canonical, "how JSON is written makes no difference");
    require(without(other) == without(body), "nor where something is left out");
  }
  const std::string rest = without(body);
  require(rest.size() <= canonical.size(), "leaving out adds nothing");
  require(canonicalise(rest) == rest, "what is left is canonical");
  return 0;
}
