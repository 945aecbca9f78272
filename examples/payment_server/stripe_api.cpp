// Stripe's API as far as it goes here: POST and GET of charges and payment intents.

#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>

#include <paidonce/http/body_malformed.hpp>
#include <paidonce/http/form.hpp>
#include <paidonce/http/httplib.hpp>
#include <paidonce/http/responder.hpp>
#include <paidonce/uuid.hpp>

#include "routes.hpp"
#include "stripe_errors.hpp"
#include "stripe_form.hpp"

namespace payment_server {
namespace {

using paidonce::http::Problem;
using paidonce::http::problem;
using paidonce::http::ProblemKind;
using paidonce::http::Responder;
using paidonce::http::ResponderOptions;
using paidonce::http::Response;
using paidonce::http::Tenant;

/// Nothing is redacted, and the gateway's answers are made of a status, Content-Type and a body alone: what
/// recovery, the checkout and the admin page store is what a responder would, but for bodies of more than
/// `largest_response`, which no payment's object has. Who adds a `redact` here, or more fields there, has to
/// pass those through `Responder::stored`.
ResponderOptions as_stripe() {
  ResponderOptions options;
  options.missing_key = paidonce::http::MissingKey::made;
  options.body_form = &paidonce::http::canonical_form;
  options.write_problem = &stripe_problem;
  return options;
}

class StripeApi {
 public:
  StripeApi(Service& service, const Tenants& tenants)
      : service_(service), tenants_(tenants), responder_(service.guard, as_stripe()) {}

  void create(Kind kind, const httplib::Request& request, httplib::Response& to) {
    answer(request, to, [&](const Tenant& tenant) {
      try {
        const auto read = read_payment(kind, tenant.id, request.body);
        if (const auto* wrong = std::get_if<Response>(&read)) return *wrong;
        return with_key(request, pay(tenant, std::get<Payment>(read), request));
      } catch (const paidonce::http::BodyMalformed& wrong) {
        return stripe_problem(problem(ProblemKind::body_malformed, wrong.what()));
      }
    });
  }
  void retrieve(Kind kind, const httplib::Request& request, httplib::Response& to) const {
    answer(request, to,
           [&](const Tenant& tenant) { return one(kind, request.matches[1].str(), tenant, "id"); });
  }
  void list(Kind kind, const httplib::Request& request, httplib::Response& to) const {
    answer(request, to, [&](const Tenant& tenant) {
      std::size_t limit = 10;
      if (request.has_param("limit")) {
        const std::string text = request.get_param_value("limit");
        const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), limit);
        if (wrong != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 100)
          return stripe_error({400, "invalid_request_error", "parameter_invalid_integer",
                               "The limit must be from 1 to 100", "limit"});
      }
      const std::string after = request.get_param_value("starting_after");
      if (!after.empty())  // it says nothing of the payments of others
        if (Response known = one(kind, after, tenant, "starting_after"); known.status != 200) return known;
      return service_.gateway.list(kind, tenant.id, limit, after);
    });
  }

 private:
  /// Who has no key learns nothing, and what is thrown tells nobody anything.
  template <class Answer>
  void answer(const httplib::Request& request, httplib::Response& to, Answer&& of) const {
    Response response;
    try {
      const auto tenant = tenants_.find(request.get_header_value("Authorization"));
      if (tenant && !request.ranges.empty())  // the HTTP library would cut the answer
        response = stripe_problem(problem(ProblemKind::request_malformed, "Range has no place here."));
      else if (tenant)
        response = of(*tenant);
      else
        response = stripe_error({401, "invalid_request_error", "",
                                 "There is no account with this API key: send yours as a bearer token, or as "
                                 "the user name of basic authentication.",
                                 ""});
    } catch (const std::runtime_error&) {
      response = stripe_error({502, "api_error", "", "The gateway could not be asked. Ask again later.", ""});
    }
    if (response.status == 429) response.set("Stripe-Should-Retry", "true");
    response.set("Request-Id", "req_" + paidonce::uuid_v4());
    response.set("Cache-Control", "no-store");
    paidonce::http::send(response, to);
  }

  Response pay(const Tenant& tenant, const Payment& payment, const httplib::Request& request) {
    const auto at_gateway = [&](paidonce::Attempt& attempt) -> Response {
      GatewayReport report = service_.gateway.ask(attempt, payment);
      if (Response* response = report.result.response_if()) return std::move(*response);
      if (report.refusal) return *std::move(report.refusal);
      if (report.result.report() == paidonce::Report::not_executed)
        throw paidonce::NotExecuted(report.result.reason());
      throw std::runtime_error(report.result.reason());  // it is in doubt
    };
    const auto view = paidonce::http::view_of(request);
    paidonce::CallOptions call = call_options(payment);
    call.retention = service_.retention;
    if (service_.options.provider_deduplicates) return responder_.answer(tenant, view, at_gateway, call);
    const auto reconcile = [&](const paidonce::Record& record, std::string_view provider_key) {
      return service_.gateway
          .look_up({payment.kind, std::string(provider_key), payment.amount, payment.currency},
                   record.created_at)
          .result;
    };
    return responder_.answer(tenant, view, at_gateway, reconcile, call);
  }

  /// Stripe's answers name the key as it came, and its SDKs hand that on.
  static Response with_key(const httplib::Request& request, Response response) {
    const auto lines = paidonce::http::view_of(request).values(paidonce::http::idempotency_key_field);
    const auto key = paidonce::http::parse_idempotency_key(lines, paidonce::http::KeySyntax::lenient);
    if (std::holds_alternative<std::string>(key))
      response.set(paidonce::http::idempotency_key_field, lines.front());
    return response;
  }

  Response one(Kind kind, const std::string& id, const Tenant& tenant, std::string param) const {
    if (auto found = service_.gateway.find(kind, id, tenant.id)) return *std::move(found);
    const std::string_view what = kind == Kind::charge ? "charge" : "payment_intent";
    return stripe_error({404, "invalid_request_error", "resource_missing",
                         "No such " + std::string(what) + ": '" + id + "'", std::move(param)});
  }

  Service& service_;
  const Tenants& tenants_;
  Responder<Guard> responder_;
};

}  // namespace

void add_stripe_api(httplib::Server& server, Service& service, const Tenants& tenants) {
  const auto api = std::make_shared<StripeApi>(service, tenants);
  const auto add = [&](const std::string& path, Kind kind) {
    server.Post(path, [api, kind](const auto& request, auto& to) { api->create(kind, request, to); });
    server.Get(path, [api, kind](const auto& request, auto& to) { api->list(kind, request, to); });
    server.Get(path + "/([^/]+)",
               [api, kind](const auto& request, auto& to) { api->retrieve(kind, request, to); });
  };
  add("/v1/charges", Kind::charge);
  add("/v1/payment_intents", Kind::payment_intent);
}

}  // namespace payment_server
