#include "charge.hpp"

#include <nlohmann/json.hpp>

#include <paidonce/errors.hpp>

std::string paidonce::Codec<shop::Charge>::encode(const shop::Charge& charge) {
  return nlohmann::json({{"id", charge.id},
                         {"order", charge.order},
                         {"amount", charge.amount},
                         {"currency", charge.currency},
                         {"failure", charge.failure}})
      .dump();
}

shop::Charge paidonce::Codec<shop::Charge>::decode(std::string_view bytes) {
  try {
    const auto json = nlohmann::json::parse(bytes);
    return {json.at("id"), json.at("order"), json.at("amount"), json.at("currency"), json.at("failure")};
  } catch (const nlohmann::json::exception&) {
    throw Error(errc::codec_failure, "the stored response is no charge of this program");
  }
}
