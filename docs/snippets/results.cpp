// The snippets about what a payment returns.

// [json]
#include <paidonce/codecs/json.hpp>

struct Receipt {
  std::string id;
  int units = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Receipt, id, units)
};
// [/json]

#include <paidonce/paidonce.hpp>

#include <string>
#include <string_view>

#include "support/catch.hpp"

// [codec]
struct Approval {
  std::string code;
};

template <>
struct paidonce::Codec<Approval> {
  static constexpr std::string_view format = "approval/1";  // another one when the bytes change
  static std::string encode(const Approval& approval) { return approval.code; }
  static Approval decode(std::string_view bytes) { return {std::string(bytes)}; }
};
// [/codec]

TEST_CASE("types of one's own are replayed", "[docs]") {
  using namespace paidonce;
  IdempotencyGuard guard{MemoryStore{}};
  const auto receipt = [&] {
    return guard.execute(IdempotencyKey("shop", "1"), fingerprint("a"), [] { return Receipt{"ch_1", 450}; });
  };
  CHECK(receipt().response().units == 450);
  CHECK(receipt().response().id == "ch_1");
  const auto approval = [&] {
    return guard.execute(IdempotencyKey("shop", "2"), fingerprint("a"), [] { return Approval{"A17"}; });
  };
  CHECK_FALSE(approval().replayed());
  CHECK(approval().replayed());
  CHECK(approval().response().code == "A17");
}
