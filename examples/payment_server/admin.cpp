// The page on which a person settles what is stuck.
//
//   GET  /admin                      what is stuck
//   GET  /admin/payment/KEY          one payment; KEY in hexadecimal digits
//   POST /admin/payment/KEY/ask      asks the gateway; never pays
//   POST /admin/payment/KEY/confirm  shows what is to be agreed to; changes nothing
//   POST /admin/payment/KEY/resolve  settles it by the person's word
//
// Every form carries a token that only this page can make: for the user, the step, the payment and what the
// step is to be done with. A resolve is done only to the very record that the person was shown.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <httplib.h>
#include <paidonce/errors.hpp>

#include "admin_access.hpp"
#include "admin_list.hpp"
#include "admin_pages.hpp"
#include "admin_verdict.hpp"
#include "common/as_shown.hpp"
#include "routes.hpp"

namespace payment_server {
namespace {

using paidonce::IdempotencyKey;
using paidonce::Record;
using paidonce::State;
using paidonce::Status;
using ResponseCodec = paidonce::Codec<paidonce::http::Response>;

constexpr std::size_t page_size = 50;
constexpr paidonce::Duration walk_time{1000};

constexpr std::string_view changed_meanwhile =
    "The payment has changed since you were shown it, and nothing was done. Look at it again.";

/// What a page tells after a redirect. The address has the name, never the text.
std::string_view told(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> texts[] = {
      {"paid", "The gateway has it: it was paid, and that is recorded."},
      {"declined", "The gateway has it: it was declined, and that is recorded."},
      {"nothing", "It is proven that nothing happened: the key is free."},
      {"doubt", "What the gateway says proves nothing: it stays in doubt."},
      {"running", "A process works on it at this moment: the gateway was not asked."},
      {"resolved", "It is recorded, with your name and your reason."}};
  for (const auto& [known, text] : texts)
    if (known == name) return text;
  return {};
}

/// One request of somebody who has the password.
struct Visit {
  const httplib::Request& request;
  httplib::Response& response;
  std::string user;

  std::string field(const char* name) const { return request.get_param_value(name); }
  void show(int status, std::string_view title, const Html& content) const {
    answer_page(response, status, admin_page(title, user, content));
  }
  void refuse(int status, std::string_view text, std::string_view href = "/admin",
              std::string_view link = "What is stuck") const {
    show(status, status == 409 ? "Not done" : "Refused", admin_dead_end(text, href, link));
  }
  void go_to(const IdempotencyKey& key, std::string_view done) const {
    set_page_headers(response);
    response.set_redirect("/admin/payment/" + hex_of_key(key) + "?done=" + std::string(done), 303);
  }
};

class AdminPage {
 public:
  explicit AdminPage(Service& service) : service_(service), access_(service.admin_password) {}

  using Show = void (AdminPage::*)(const Visit&);
  using ShowPayment = void (AdminPage::*)(const Visit&, const IdempotencyKey&);

  void get(Show show, const httplib::Request& request, httplib::Response& response) {
    admit(request, response, [&](const Visit& visit) { (this->*show)(visit); });
  }
  void get(ShowPayment show, const httplib::Request& request, httplib::Response& response) {
    admit(request, response, [&](const Visit& visit) { with_key(visit, show); });
  }
  void post(ShowPayment act, const httplib::Request& request, httplib::Response& response) {
    admit(request, response, [&](const Visit& visit) {
      if (sent_from_elsewhere(request.get_header_value("Sec-Fetch-Site"), request.get_header_value("Origin"),
                              request.get_header_value("Host")))
        return visit.refuse(403, "This form was sent by a page of another site. Nothing was done.");
      with_key(visit, act);
    });
  }

  void list(const Visit& visit) {
    std::optional<ListPosition> after;
    if (visit.request.has_param("after")) {
      after = ListPosition::from_text(visit.field("after"));
      if (!after) return visit.refuse(400, "There is no such page.");
    }
    visit.show(200, "Stuck payments",
               admin_list(list_stuck(service_.store, now(), after, page_size, walk_time)));
  }

  void payment(const Visit& visit, const IdempotencyKey& key) {
    const auto record = service_.store.find(key);
    if (!record) return unknown(visit);
    const std::string_view text = told(visit.field("done"));
    show_payment(visit, 200, key, *record, {}, text.empty() ? Html{} : admin_notice(text, Tone::says));
  }

  void ask(const Visit& visit, const IdempotencyKey& key) {
    if (!access_.right(visit.field("token"), access_.token(visit.user, "ask", key)))
      return not_from_here(visit);
    if (!service_.store.find(key)) return unknown(visit);
    const auto outcome = service_.guard.reconcile<paidonce::http::Response>(
        key, [&](const Record& record) { return ask_about(service_.gateway, key, record); });
    switch (outcome.status()) {
      case Status::completed: return visit.go_to(key, outcome.succeeded() ? "paid" : "declined");
      case Status::not_executed: return visit.go_to(key, "nothing");
      case Status::in_progress: return visit.go_to(key, "running");
      default: return visit.go_to(key, "doubt");
    }
  }

  void confirm(const Visit& visit, const IdempotencyKey& key) {
    const std::string seen = visit.field("seen");
    if (!access_.right(visit.field("token"), access_.token(visit.user, "confirm", key, seen)))
      return not_from_here(visit);
    const auto record = as_seen(visit, key, seen);
    if (!record) return;
    Verdict verdict;
    try {
      verdict = verdict_of(visit);
      const Resolution resolution = resolve_to(verdict, key, *record);
      if (record->state == State::in_progress && visit.field("holder") != "dead")
        throw VerdictRefused("It is in progress: declare first that nobody works on it any more.");
      Agreement agreement{
          verdict, resolution, visit.user, seen, answer_of(resolution), visit.field("holder")};
      agreement.token = token_for(visit, key, agreement.answer);
      visit.show(200, "Is that so?", admin_confirmation(view(key, *record), agreement));
    } catch (const VerdictRefused& refused) {
      show_payment(visit, 422, key, *record, verdict, admin_notice(refused.what(), Tone::warns));
    }
  }

  void resolve(const Visit& visit, const IdempotencyKey& key) {
    const std::string answer = visit.field("answer");
    if (!access_.right(visit.field("token"), token_for(visit, key, answer))) return not_from_here(visit);
    const auto record = as_seen(visit, key, visit.field("seen"));
    if (!record) return;
    try {
      const Verdict verdict = verdict_of(visit);
      const Resolution resolution = resolve_to(verdict, key, *record);
      if (answer_of(resolution) != answer) return changed(visit, key);
      common::AsShown store(service_.store, *record);
      paidonce::GuardOptions options = service_.options;
      options.heartbeat = false;
      Guard guard(store, paidonce::KeyedMutex(), paidonce::SystemClock(), options, service_.metrics);
      const auto& response = resolution.response;
      try {
        guard.resolve(key, resolution.state, response ? ResponseCodec::encode(*response) : std::string(),
                      ResponseCodec::format, visit.user, verdict.reason, record->attempt_id);
      } catch (const paidonce::Error&) {
        store.tell_why();
        throw;
      }
      visit.go_to(key, "resolved");
    } catch (const VerdictRefused& refused) {
      visit.refuse(409, refused.what(), "/admin/payment/" + hex_of_key(key), "Look at the payment");
    } catch (const common::RecordChanged&) {
      changed(visit, key);
    }
  }

 private:
  template <class Handle>
  void admit(const httplib::Request& request, httplib::Response& response, Handle&& handle) {
    auto user = access_.user(request.get_header_value("Authorization"));
    if (!user) {
      set_page_headers(response);
      response.status = 401;
      response.set_header("WWW-Authenticate", R"(Basic realm="payments", charset="UTF-8")");
      return response.set_content("A user name of your own, and the password of this page, please.\n",
                                  "text/plain");
    }
    const Visit visit{request, response, *std::move(user)};
    try {
      handle(visit);
    } catch (const paidonce::Error& failure) {
      if (failure.code() == paidonce::errc::wrong_state) return visit.refuse(409, changed_meanwhile);
      visit.refuse(503, "The store did not do it, or nobody knows: look at the payment again.");
    } catch (const std::exception&) {
      visit.refuse(503, "The gateway does not answer, or not as it should. Look at the payment again.");
    }
  }

  void with_key(const Visit& visit, ShowPayment handle) {
    const auto key = key_of_hex(std::string(visit.request.matches[1]));
    if (!key) return unknown(visit);
    (this->*handle)(visit, *key);
  }

  void unknown(const Visit& visit) const { visit.refuse(404, "There is no such payment."); }
  void not_from_here(const Visit& visit) const {
    visit.refuse(403, "This form is not as this page made it. Nothing was done.");
  }
  void changed(const Visit& visit, const IdempotencyKey& key) const {
    visit.refuse(409, changed_meanwhile, "/admin/payment/" + hex_of_key(key), "Look at the payment");
  }

  paidonce::Timestamp now() { return service_.guard.clock().now(); }
  PaymentView view(const IdempotencyKey& key, const Record& record) {
    const paidonce::Timestamp time = now();
    return {key, record, holder_of(service_.store, key, record, time), time};
  }

  void show_payment(const Visit& visit, int status, const IdempotencyKey& key, const Record& record,
                    const Verdict& filled_in, const Html& notice) {
    PaymentForms forms;
    forms.seen = access_.seen(key, record);
    forms.ask_token = access_.token(visit.user, "ask", key);
    forms.confirm_token = access_.token(visit.user, "confirm", key, forms.seen);
    forms.filled_in = filled_in;
    visit.show(status, "A payment", admin_payment(view(key, record), forms, notice));
  }

  /// The record, if it is the one that the person was shown; nullopt: the person has been told why not. Forms
  /// are shown for what is stuck alone, and what was stuck is so for as long as its record is the same.
  std::optional<Record> as_seen(const Visit& visit, const IdempotencyKey& key, const std::string& seen) {
    auto record = service_.store.find(key);
    if (!record) {
      unknown(visit);
    } else if (access_.seen(key, *record) != seen) {
      changed(visit, key);
      record.reset();
    }
    return record;
  }

  static Verdict verdict_of(const Visit& visit) {
    Verdict verdict;
    verdict.reason = visit.field("reason");
    verdict.payment_id = visit.field("payment_id");
    if (visit.field("proof") == "by_hand") verdict.proof = Proof::by_hand;
    const auto says = says_of(visit.field("says"));
    if (!says) throw VerdictRefused("Choose what became of the payment.");
    verdict.says = *says;
    return verdict;
  }
  Resolution resolve_to(const Verdict& verdict, const IdempotencyKey& key, const Record& record) const {
    // A key that is freed is charged under again: not while the gateway itself has the payment.
    if (verdict.says == Says::nothing_happened && verdict.proof == Proof::gateway && kind_of(record) &&
        look_up(service_.gateway, key, record).listed)
      throw VerdictRefused(
          "The gateway has this payment, so something happened: let it be asked, above. Nothing was "
          "recorded.");
    return resolution_of(verdict, key, record,
                         [&](Kind kind, std::string_view id) { return service_.gateway.fetch(kind, id); });
  }
  /// What customers are to get, as the token and the form name it.
  static std::string answer_of(const Resolution& resolution) {
    return resolution.response ? paidonce::fingerprint(ResponseCodec::encode(*resolution.response)).hex()
                               : std::string("none");
  }
  std::string token_for(const Visit& visit, const IdempotencyKey& key, const std::string& answer) const {
    return access_.token(visit.user, "resolve", key, visit.field("seen"), visit.field("says"),
                         visit.field("payment_id"), visit.field("proof"), visit.field("holder"),
                         visit.field("reason"), answer);
  }

  Service& service_;
  AdminAccess access_;
};

}  // namespace

void add_admin(httplib::Server& server, Service& service) {
  if (service.admin_password.empty()) return;  // there is no admin page, and no sign of one
  const auto page = std::make_shared<AdminPage>(service);
  const auto get = [&](const char* path, auto show) {
    server.Get(path,
               [page, show](const auto& request, auto& response) { page->get(show, request, response); });
  };
  const auto post = [&](const char* path, AdminPage::ShowPayment act) {
    server.Post(path,
                [page, act](const auto& request, auto& response) { page->post(act, request, response); });
  };
  get("/admin", AdminPage::Show(&AdminPage::list));
  get("/admin/payment/([0-9a-f]+)", AdminPage::ShowPayment(&AdminPage::payment));
  post("/admin/payment/([0-9a-f]+)/ask", &AdminPage::ask);
  post("/admin/payment/([0-9a-f]+)/confirm", &AdminPage::confirm);
  post("/admin/payment/([0-9a-f]+)/resolve", &AdminPage::resolve);
}

}  // namespace payment_server
