// The checkout: a small shop, the page of an order, and Pay. What the page says is what the store's records
// say; nothing is kept in the browser, in a session, or here.

#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/http/form.hpp>

#include "checkout_view.hpp"
#include "page.hpp"
#include "routes.hpp"
#include "settlement.hpp"
#include "shop.hpp"

namespace payment_server {
namespace {

using paidonce::http::Response;

class Checkout {
 public:
  explicit Checkout(Service& service) : service_(service) {}

  void make_order(const httplib::Request& request, httplib::Response& response) const {
    if (!from_own_page(request)) return refuse(response, 403, foreign, nullptr);
    const Good* const good = find_good(value_in(request, "good"));
    if (!good)
      return refuse(response, 422, "We do not sell that. No order was made, and nothing was charged.",
                    nullptr);
    see_other(response, "/orders/" + new_order(*good, now()));
  }

  void show(const httplib::Request& request, httplib::Response& response) {
    with_order(request, response, [&](const Order& order) {
      answer_page(response, 200, order_page(order, settled(order), now()));
    });
  }

  void status(const httplib::Request& request, httplib::Response& response) {
    set_page_headers(response);
    const auto order = find_order(std::string(request.matches[1]), now());
    if (!order) return json(response, 404, "{\"state\":\"unknown_order\",\"final\":true}\n");
    try {
      json(response, 200, status_json(*order, settled(*order), now()));
    } catch (const std::exception&) {
      json(response, 503, "{\"state\":\"unknown\",\"final\":false}\n");
    }
  }

  /// Always ends at the order's page, which tells the truth, whoever asked and however often.
  void pay(const httplib::Request& request, httplib::Response& response) {
    with_order(request, response, [&](const Order& order) {
      if (!from_own_page(request)) return refuse(response, 403, foreign, &order);
      const auto n = number_of(value_in(request, "payment"));
      const std::string source = value_in(request, "source");
      if (!n || !is_test_card(source))
        return refuse(response, 422,
                      "The form was not filled in as it should be. This request charged nothing.", &order);
      const Progress before = progress(order);
      const unsigned open = payable(shown(order, before, now()), before);
      if (*n > std::max(open, before.payment))
        return refuse(response, 422,
                      "There is no such payment of this order yet. This request charged nothing.", &order);
      // Any other number is of an old page, which is shown how things are.
      if (*n == open) pay(payment_for(order, source), order, *n);
      see_other(response, "/orders/" + order.id);
    });
  }

 private:
  static constexpr std::string_view foreign =
      "This came from the page of another site, and was not carried out. This request charged nothing.";

  static paidonce::Timestamp now() { return paidonce::SystemClock{}.now(); }

  /// Asks the gateway what it has under the payment's provider key; never pays.
  auto looked_up(const Order& order, unsigned n) const {
    return [this, key = payment_key(order, n)](const paidonce::Record& record) {
      return ask_about(service_.gateway, key, record);
    };
  }

  void pay(const Payment& payment, const Order& order, unsigned n) {
    paidonce::CallOptions call = call_options(payment);
    call.retention = remembered_for;
    // Whatever the outcome is, the record has it, and the page shows it.
    static_cast<void>(service_.guard.execute(
        payment_key(order, n), fingerprint_of(payment, n),
        [&](paidonce::Attempt& attempt) { return service_.gateway.pay(attempt, payment); },
        looked_up(order, n), call));
  }

  /// The latest payment of an order. One after another: the next is begun only where the one before was
  /// declined, which is final.
  Progress progress(const Order& order) {
    Progress latest;
    for (unsigned n = 1; n <= most_payments; ++n) {
      auto record = service_.guard.find(payment_key(order, n));
      if (!record) break;
      latest.payment = n;
      latest.view = view_of(record);
      latest.record = std::move(record);
      if (latest.view.status != OrderStatus::declined) break;
    }
    return latest;
  }

  OrderView view_of(const std::optional<paidonce::Record>& record) {
    OrderView view = order_view(record, std::nullopt);
    if (view.payment_id.empty()) return view;
    return order_view(record, service_.guard.find(settlement_key(view.payment_id)));
  }

  /// The same, after the gateway was asked about what is in doubt, was left by a process that is gone, or
  /// ends later without that a webhook came.
  Progress settled(const Order& order) {
    Progress found = progress(order);
    const bool awaiting = found.view.status == OrderStatus::awaiting_bank;
    const bool open = found.record && is_open(order, found);
    if (!(awaiting || open) || !ask_now(order.id, std::chrono::seconds(awaiting ? 5 : 1))) return found;
    try {
      if (awaiting)
        settle_by_asking(service_, Kind::charge, found.view.payment_id);
      else
        static_cast<void>(service_.guard.reconcile<Response>(payment_key(order, found.payment),
                                                             looked_up(order, found.payment)));
    } catch (const std::exception&) {
      return found;  // it stays as it is, and is asked about again
    }
    return progress(order);
  }
  bool is_open(const Order& order, const Progress& found) {
    using paidonce::State;
    const paidonce::Record& record = *found.record;
    if (record.state == State::in_doubt) return true;
    return record.state == State::in_progress &&
           (service_.guard.clock().now() >= record.lease_until ||
            service_.store.holder_gone(payment_key(order, found.payment), record));
  }

  /// At most so often for an order, however many pages look at it.
  bool ask_now(const std::string& order, std::chrono::seconds pause) {
    const std::lock_guard lock(mutex_);
    const auto time = std::chrono::steady_clock::now();
    if (asked_.size() > 10'000) asked_.clear();
    const auto [last, first] = asked_.try_emplace(order, time);
    if (!first && time - last->second < pause) return false;
    last->second = time;
    return true;
  }

  /// The value of the one parameter of that name; empty where it is missing, comes twice, or where the body
  /// is no form.
  static std::string value_in(const httplib::Request& request, std::string_view name) {
    std::string value;
    bool found = false;
    try {
      for (auto& [known, its_value] : paidonce::http::parse_form(request.body)) {
        if (known != name) continue;
        if (std::exchange(found, true)) return {};
        value = std::move(its_value);
      }
    } catch (const paidonce::http::BodyMalformed&) {
      return {};
    }
    return value;
  }

  static std::optional<unsigned> number_of(std::string_view text) {
    unsigned n = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (problem != std::errc() || end != text.data() + text.size() || n < 1 || n > most_payments)
      return std::nullopt;
    return n;
  }

  template <class Do>
  void with_order(const httplib::Request& request, httplib::Response& response, Do&& act) {
    const auto order = find_order(std::string(request.matches[1]), now());
    if (!order)
      return refuse(response, 404,
                    "There is no such order. Please look at its address again, or begin a new one.", nullptr);
    try {
      act(*order);
    } catch (const std::exception&) {
      // Whatever is thrown was thrown before this request charged anything.
      response.set_header("Retry-After", "4");
      refuse(
          response, 503,
          "Our records cannot be read just now. This request charged nothing; if you had pressed Pay before, "
          "that payment may be under way. Please do not pay anywhere else: this page will find out.",
          &*order);
    }
  }

  static void refuse(httplib::Response& response, int status, std::string_view words, const Order* order) {
    const std::string_view title = status == 404   ? "Not found"
                                   : status == 503 ? "We cannot tell just now"
                                                   : "That did not work";
    answer_page(response, status, trouble_page({title, words, order}));
  }

  static void see_other(httplib::Response& response, const std::string& where) {
    set_page_headers(response);
    response.set_redirect(where, 303);
  }

  static void json(httplib::Response& response, int status, const std::string& text) {
    response.status = status;
    response.set_content(text, "application/json");
  }

  Service& service_;
  std::mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> asked_;
};

}  // namespace

void add_checkout(httplib::Server& server, Service& service) {
  const auto checkout = std::make_shared<Checkout>(service);
  add_page_files(server);
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    answer_page(response, 200, shop_page());
  });
  server.Post("/orders", [checkout](const httplib::Request& request, httplib::Response& response) {
    checkout->make_order(request, response);
  });
  server.Get(R"(/orders/([a-z0-9-]+))",
             [checkout](const httplib::Request& request, httplib::Response& response) {
               checkout->show(request, response);
             });
  server.Get(R"(/orders/([a-z0-9-]+)/status)",
             [checkout](const httplib::Request& request, httplib::Response& response) {
               checkout->status(request, response);
             });
  server.Post(R"(/orders/([a-z0-9-]+)/pay)",
              [checkout](const httplib::Request& request, httplib::Response& response) {
                checkout->pay(request, response);
              });
}

}  // namespace payment_server
