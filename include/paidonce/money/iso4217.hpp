#pragma once
// The list of currencies of ISO 4217, as text. Standard library only.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace paidonce::inline v1::detail {

/// ISO 4217 List One (current currency and funds codes) of 2026-01-01, published by SIX Group as maintenance
/// agency: 178 codes, of which 17 have no decimals, 139 two, 7 three, 2 four, and 13 no minor unit at all.
/// Withdrawn codes are not in it (ANG 2025-03, BGN 2026-01, CUC, HRK, SLL, ZWL): `Currency{"BGN", 2}` still
/// names one.
struct Iso4217 {
  static constexpr std::string_view codes =
      "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
      "CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP "
      "GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR "
      "KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
      "MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD "
      "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
      "USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD "
      "XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG";
  static constexpr std::string_view no_decimals =
      "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
  static constexpr std::string_view three_decimals = "BHD IQD JOD KWD LYD OMR TND";
  static constexpr std::string_view four_decimals = "CLF UYW";
  static constexpr std::string_view no_minor_unit = "XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX";

  static constexpr std::size_t count = (codes.size() + 1) / 4;
  static constexpr std::string_view code(std::size_t index) { return codes.substr(4 * index, 3); }

  static constexpr int exponent(std::string_view code) {
    const auto in = [code](std::string_view list) {
      for (std::size_t at = 0; at < list.size(); at += 4)
        if (list.substr(at, 3) == code) return true;
      return false;
    };
    return in(no_decimals) ? 0 : in(three_decimals) ? 3 : in(four_decimals) ? 4 : in(no_minor_unit) ? -1 : 2;
  }

  /// The three letters as one number that sorts as they do.
  static constexpr std::uint32_t number(std::string_view code) {
    std::uint32_t value = 0;
    for (const char c : code) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }

  static consteval auto make_numbers() {
    std::array<std::uint32_t, count> numbers{};
    for (std::size_t i = 0; i < count; ++i) numbers[i] = number(code(i));
    return numbers;
  }
};

inline constexpr auto iso4217_numbers = Iso4217::make_numbers();

}  // namespace paidonce::inline v1::detail
