#pragma once
// What the admin page shows, as HTML. No I/O. Keys and texts are opaque bytes: all of them are shown as
// common/escaped.hpp says, and escaped for HTML by `fill`.

#include <optional>
#include <string>
#include <string_view>

#include "admin_list.hpp"
#include "admin_verdict.hpp"
#include "page.hpp"

namespace payment_server {

/// A whole page. `content` is HTML that `fill` made.
std::string admin_page(std::string_view title, std::string_view user, const Html& content);

enum class Tone { says, warns };
Html admin_notice(std::string_view text, Tone tone);
/// A notice and nothing else, with a way on.
Html admin_dead_end(std::string_view text, std::string_view href, std::string_view link);

Html admin_list(const StuckList& list);

struct PaymentView {
  const paidonce::IdempotencyKey& key;
  const paidonce::Record& record;
  Holder holder = Holder::none;
  paidonce::Timestamp now = {};
};

/// What the forms of a payment's page carry.
struct PaymentForms {
  std::string seen = {}, ask_token = {}, confirm_token = {};
  Verdict filled_in = {};  ///< what the person has written so far
};
Html admin_payment(const PaymentView& view, const PaymentForms& forms, const Html& notice);

/// What is to be agreed to.
struct Agreement {
  const Verdict& verdict;
  const Resolution& resolution;
  std::string_view user;
  std::string seen = {}, answer = {}, holder = {}, token = {};
};
Html admin_confirmation(const PaymentView& view, const Agreement& agreement);

}  // namespace payment_server
