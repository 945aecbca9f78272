#pragma once
// What the pages of the checkout say. Pure: from what is known of an order to HTML.

#include <optional>
#include <string>
#include <string_view>

#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

#include "order_status.hpp"
#include "shop.hpp"

namespace payment_server {

/// Where an order stands: its latest payment, and what the records say about it.
struct Progress {
  unsigned payment = 1;  ///< its number
  std::optional<paidonce::Record> record = {};
  OrderView view = {};
};

enum class Shown : std::uint8_t {
  unpaid,
  not_charged,  ///< it was tried, and it is proven that nothing happened
  paying,
  awaiting_bank,
  paid,
  declined,
  being_verified,
  given_up,   ///< declined as often as an order may be
  too_late,   ///< never paid, and too old to be
  forgotten,  ///< older than payments are remembered: what became of it is not known here
};
Shown shown(const Order& order, const Progress& progress, paidonce::Timestamp now);

/// Which payment the person may ask for now; 0: none.
unsigned payable(Shown shown, const Progress& progress);

/// The same request, whoever sends it again.
paidonce::Fingerprint fingerprint_of(const Payment& payment, unsigned n);

/// `{"view":"1-paying","state":"paying","final":false}`: a script that sees another `view` than the one on
/// the page fetches the page. `final`: nothing changes unless the person does something.
std::string status_json(const Order& order, const Progress& progress, paidonce::Timestamp now);

std::string shop_page();
std::string order_page(const Order& order, const Progress& progress, paidonce::Timestamp now);

/// Something is not as it should be. With an order, the page goes on looking at it.
struct Trouble {
  std::string_view title, words;
  const Order* order = nullptr;
};
std::string trouble_page(const Trouble& trouble);

}  // namespace payment_server
