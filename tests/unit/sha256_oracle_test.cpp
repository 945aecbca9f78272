// Our digests against OpenSSL's, on messages that nobody chose.

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <random>
#include <string>

#include <paidonce/digest/hmac.hpp>
#include "support/catch.hpp"

using namespace paidonce;

namespace {

std::string random_bytes(std::mt19937_64& random, std::size_t largest) {
  std::string bytes(random() % (largest + 1), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

const unsigned char* data(const std::string& bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

TEST_CASE("SHA-256 agrees with OpenSSL on random messages", "[sha256][oracle]") {
  std::mt19937_64 random(20240607);
  for (int round = 0; round < 2000; ++round) {
    const std::string message = random_bytes(random, 1000);
    detail::Digest theirs;
    unsigned size = 0;
    REQUIRE(EVP_Digest(message.data(), message.size(), reinterpret_cast<unsigned char*>(theirs.data()), &size,
                       EVP_sha256(), nullptr) == 1);
    REQUIRE(detail::sha256(message) == theirs);
    detail::Sha256 portable(detail::sha256_compress_portable);
    portable.update(message);
    REQUIRE(portable.finish() == theirs);
  }
}

TEST_CASE("HMAC-SHA-256 agrees with OpenSSL on random keys and messages", "[hmac][oracle]") {
  std::mt19937_64 random(20240608);
  for (int round = 0; round < 2000; ++round) {
    const std::string secret = random_bytes(random, 150);
    const std::string message = random_bytes(random, 300);
    detail::Digest theirs;
    unsigned size = 0;
    REQUIRE(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), data(message), message.size(),
                 reinterpret_cast<unsigned char*>(theirs.data()), &size) != nullptr);
    REQUIRE(detail::hmac_sha256(secret, message) == theirs);
  }
}
