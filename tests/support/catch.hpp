#pragma once
// Catch2 of either major version under one include. Version 3 has no single header and renamed some of its
// matchers, so tests take these from here: the same names, whatever is installed.
//
//   CHECK_THAT(text, support::contains("in doubt"));
//   CHECK_THROWS_MATCHES(guard.find(key), Error, support::has_code<Error>(errc::store_corrupt));

#include <string>
#include <system_error>
#include <utility>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

namespace support {

#if __has_include(<catch2/catch_all.hpp>)
/// Matches a string that holds `part`.
inline auto contains(std::string part) { return Catch::Matchers::ContainsSubstring(std::move(part)); }
#else
/// Matches a string that holds `part`.
inline auto contains(const std::string& part) { return Catch::Matchers::Contains(part); }
#endif

/// Matches a string that begins with `part`.
inline auto starts_with(const std::string& part) { return Catch::Matchers::StartsWith(part); }

/// Matches a string that ends with `part`.
inline auto ends_with(const std::string& part) { return Catch::Matchers::EndsWith(part); }

/// Matches an exception of type `E` (a std::system_error) that carries `code`.
template <class E>
auto has_code(std::error_code code) {
  return Catch::Matchers::Predicate<E>(
      [code](const E& error) { return error.code() == code; },
      std::string("carries the code ") + code.category().name() + ": " + code.message());
}

/// Matches an exception of type `E` (a std::exception) whose text holds `part`.
template <class E>
auto says(std::string part) {
  std::string description = "says \"" + part + '"';
  return Catch::Matchers::Predicate<E>(
      [part = std::move(part)](const E& error) {
        return std::string(error.what()).find(part) != std::string::npos;
      },
      std::move(description));
}

}  // namespace support
