#include "checkout_view.hpp"

#include <ctime>

#include "page.hpp"

namespace payment_server {
namespace {

/// What is said of each state. `again` is after how many seconds a browser without scripts looks again; 0:
/// never.
struct Words {
  std::string_view name, title, picture, text;
  int again;
};

Words words_of(Shown shown) {
  switch (shown) {
    case Shown::unpaid: return {"unpaid", "Pay for your order", "basket", "", 0};
    case Shown::not_charged:
      return {
          "not_charged", "Nothing was charged", "note",
          "The payment could not be made, and it is certain that no money was taken. You can try again with "
          "the same card, or begin a new order.",
          0};
    case Shown::paying:
      return {
          "paying", "Your payment is being made", "clock",
          "The bank is being asked right now. You need not wait here: the payment goes on without this page, "
          "and this page will know how it ended. Please do not pay for this order anywhere else.",
          2};
    case Shown::awaiting_bank:
      return {"awaiting_bank", "Waiting for your bank", "clock",
              "The payment was taken on. Whether the money comes is known later: you can close this page "
              "and come back. Please do not pay again.",
              10};
    case Shown::paid:
      return {"paid", "Paid. Thank you!", "tick", "This is your receipt. You were charged once.", 0};
    case Shown::declined:
      return {"declined", "The payment was declined", "cross",
              "No money was taken. You can pay with another card.", 0};
    case Shown::being_verified:
      return {
          "being_verified", "Your payment is being verified", "search",
          "The bank was asked, but its answer did not reach us. We are finding out what happened. Please do "
          "not pay again, here or anywhere else: you will not be charged twice.",
          4};
    case Shown::given_up:
      return {"given_up", "The payment was declined", "cross",
              "No money was taken. It was tried too often to go on: please begin a new order.", 0};
    case Shown::forgotten:
      return {"forgotten", "We no longer know this order", "note",
              "It was made more than 30 days ago, and payments are not kept here for longer. Whether it was "
              "paid, your bank can tell you. It can no longer be paid here.",
              0};
    case Shown::too_late: break;
  }
  return {"too_late", "This order can no longer be paid", "note",
          "It was made more than a day ago. No money was taken for it. Please begin a new order.", 0};
}

std::string view_name(const Words& words, const Progress& progress) {
  return std::to_string(progress.payment) + '-' + std::string(words.name);
}

std::string price_of(const Order& order) { return amount_text(payment_for(order, "")); }

std::string date_of(paidonce::Timestamp time) {
  const std::time_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

/// The page around `main`. `again` as in `Words`.
std::string whole_page(std::string_view title, const Html& main, int again) {
  const Html refresh = again > 0 ? fill("refresh.html", {{"seconds", std::to_string(again)}}) : Html{};
  return fill("layout.html",
              {{"title", title},
               {"style", address_of("style.css")},
               {"script", address_of("checkout.js")},
               {"icon", address_of("icon.svg")}},
              {{"refresh", refresh}, {"main", main}})
      .text;
}

/// The form for the n-th payment. After one that was not made, it takes only the card that it was tried
/// with: the same request under the same key, which no gateway carries out twice.
Html pay_form(const Order& order, const Progress& progress, unsigned n, Shown shown) {
  Html cards;
  bool first = true;
  for (const TestCard& card : test_cards()) {
    if (shown == Shown::not_charged &&
        !fingerprint_of(payment_for(order, card.source), n).matches(progress.record->fingerprint))
      continue;
    cards.text += fill("card.html", {{"source", card.source},
                                     {"name", card.name},
                                     {"words", card.words},
                                     {"checked", first ? "checked" : ""}})
                      .text;
    first = false;
  }
  return fill("pay_form.html",
              {{"order", order.id},
               {"payment", std::to_string(n)},
               {"button", (shown == Shown::unpaid ? "Pay " : "Try again: pay ") + price_of(order)}},
              {{"cards", cards}});
}

Html receipt(const Progress& progress) {
  if (!progress.record || progress.view.payment_id.empty()) return {};
  return fill("receipt.html",
              {{"payment", progress.view.payment_id}, {"date", date_of(progress.record->updated_at)}});
}

}  // namespace

Shown shown(const Order& order, const Progress& progress, paidonce::Timestamp now) {
  const bool late = now >= order.made + payable_for;
  switch (progress.view.status) {
    case OrderStatus::unpaid:
      if (!progress.record && now >= order.made + remembered_for) return Shown::forgotten;
      return late ? Shown::too_late : progress.record ? Shown::not_charged : Shown::unpaid;
    case OrderStatus::declined:
      if (late) return Shown::too_late;
      return progress.payment < most_payments ? Shown::declined : Shown::given_up;
    case OrderStatus::paying: return Shown::paying;
    case OrderStatus::awaiting_bank: return Shown::awaiting_bank;
    case OrderStatus::paid: return Shown::paid;
    case OrderStatus::being_verified: break;
  }
  return Shown::being_verified;
}

unsigned payable(Shown shown, const Progress& progress) {
  switch (shown) {
    case Shown::unpaid:
    case Shown::not_charged: return progress.payment;
    case Shown::declined: return progress.payment + 1;
    default: return 0;
  }
}

paidonce::Fingerprint fingerprint_of(const Payment& payment, unsigned n) {
  return paidonce::fingerprint(std::string_view(payment.order), n, payment.amount,
                               std::string_view(payment.currency), std::string_view(payment.source));
}

std::string status_json(const Order& order, const Progress& progress, paidonce::Timestamp now) {
  const Words words = words_of(shown(order, progress, now));
  return "{\"view\":\"" + view_name(words, progress) + "\",\"state\":\"" + std::string(words.name) +
         "\",\"final\":" + (words.again == 0 ? "true" : "false") + "}\n";
}

std::string shop_page() {
  Html list;
  for (const Good& good : goods()) {
    Payment price;
    price.amount = good.price;
    price.currency = good.currency;
    list.text += fill("good.html", {{"id", good.id},
                                    {"name", good.name},
                                    {"words", good.words},
                                    {"price", amount_text(price)},
                                    {"pictures", address_of("pictures.svg")}})
                     .text;
  }
  return whole_page("A small shop", fill("shop.html", {}, {{"goods", list}}), 0);
}

std::string order_page(const Order& order, const Progress& progress, paidonce::Timestamp now) {
  const Shown what = shown(order, progress, now);
  const Words words = words_of(what);
  std::string text(words.text);
  if (what == Shown::declined && !progress.view.message.empty()) text = progress.view.message + ' ' + text;
  const unsigned n = payable(what, progress);
  const Html form = n > 0 ? pay_form(order, progress, n, what) : Html{};
  const Html paid = what == Shown::paid || what == Shown::awaiting_bank ? receipt(progress) : Html{};
  const Html verdict = text.empty() ? Html{} : fill("verdict.html", {{"text", text}});
  const Html look_again = words.again > 0 ? fill("look_again.html", {{"order", order.id}}) : Html{};
  const bool over = what == Shown::paid || what == Shown::not_charged || what == Shown::given_up ||
                    what == Shown::too_late || what == Shown::forgotten;
  const Html new_order_link = over ? fill("new_order.html", {}) : Html{};
  const std::string pictures = address_of("pictures.svg");
  return whole_page(words.title,
                    fill("order.html",
                         {{"state", words.name},
                          {"view", view_name(words, progress)},
                          {"final", words.again == 0 ? "true" : "false"},
                          {"title", words.title},
                          {"picture", words.picture},
                          {"pictures", pictures},
                          {"order", order.id},
                          {"good", order.good->name},
                          {"price", price_of(order)},
                          {"made", date_of(order.made)}},
                         {{"verdict", verdict},
                          {"form", form},
                          {"receipt", paid},
                          {"look_again", look_again},
                          {"new_order", new_order_link}}),
                    words.again);
}

std::string trouble_page(const Trouble& trouble) {
  const Html look_again =
      trouble.order ? fill("look_again.html", {{"order", trouble.order->id}}) : fill("new_order.html", {});
  return whole_page(trouble.title,
                    fill("trouble.html",
                         {{"title", trouble.title},
                          {"words", trouble.words},
                          {"order", trouble.order ? std::string_view(trouble.order->id) : std::string_view()},
                          {"final", trouble.order ? "false" : "true"},
                          {"pictures", address_of("pictures.svg")}},
                         {{"look_again", look_again}}),
                    trouble.order ? 4 : 0);
}

}  // namespace payment_server
