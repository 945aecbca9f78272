#include "gateway.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <utility>

#include "common/amount.hpp"

namespace payment_server {
namespace {

using paidonce::in_doubt;
using paidonce::not_executed;
using paidonce::http::Response;

constexpr std::chrono::hours clocks_apart{24};  // at most, those of the gateway and of this server

std::string path_of(Kind kind) { return kind == Kind::charge ? "/v1/charges" : "/v1/payment_intents"; }

/// An id that cannot be taken for more of a path.
bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 255 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

common::Form form_of(const Payment& payment, const std::string& provider_key) {
  common::Form form = {{"amount", std::to_string(payment.amount)}, {"currency", payment.currency}};
  if (payment.kind == Kind::charge) {
    form.emplace_back("source", payment.source);
  } else {
    form.emplace_back("payment_method", payment.source);
    form.emplace_back("confirm", "true");
  }
  if (!payment.description.empty()) form.emplace_back("description", payment.description);
  for (const auto& [name, value] : payment.metadata) form.emplace_back("metadata[" + name + "]", value);
  if (!payment.order.empty()) form.emplace_back("metadata[order]", payment.order);
  form.emplace_back("metadata[tenant]", payment.tenant);
  form.emplace_back("metadata[provider_key]", provider_key);
  return form;
}

}  // namespace

Gateway::Gateway(std::string_view url, const std::string& api_key, std::chrono::milliseconds timeout)
    : http_(url, api_key, timeout) {}

GatewayReport Gateway::ask(paidonce::Attempt& attempt, const Payment& payment) const {
  const std::string key(attempt.provider_key());
  if (attempt.lease_lost()) return {not_executed("the lease ran out before anything was sent")};
  const common::Posted posted = http_.post(path_of(payment.kind), form_of(payment, key), key);
  if (posted.reply) return report_of(payment, key, posted.reply->status, posted.reply->body);
  if (posted.nothing_sent) return {not_executed("no connection to the gateway: nothing was sent")};
  return {in_doubt("the request was sent, and no whole reply came")};
}

std::string Gateway::get(const std::string& path) const {
  Response reply = http_.get(path, "the gateway did not answer");
  if (reply.status == 404) return {};
  if (reply.status != 200)
    throw std::runtime_error("the gateway answered " + std::to_string(reply.status) + " to a question");
  return std::move(reply.body);
}

LookedUp Gateway::look_up(const Sought& sought, paidonce::Timestamp begun) const {
  const Kind kind = sought.kind;
  std::optional<paidonce::PaymentResult<Response>> found;
  std::string path = path_of(kind) + "?limit=100";
  for (bool more = true; more;) {
    FoundInPage page = find_in_page(sought, get(path));
    const auto is_paid = [](const auto& report) {
      return report && report->report() == paidonce::Report::succeeded;
    };
    if (page.several_paid || (is_paid(found) && is_paid(page.report)))
      return {in_doubt("the gateway lists several payments under this provider key; somebody has to look"),
              true};
    if (page.of_another_amount)
      return {in_doubt("the gateway lists a payment of another amount under this provider key"), true};
    if (page.report && !is_paid(found)) found = std::move(page.report);
    const auto oldest = paidonce::Timestamp(std::chrono::seconds(page.last_created));
    more = !page.last_id.empty() && (begun == paidonce::Timestamp{} || oldest >= begun - clocks_apart);
    path = path_of(kind) + "?limit=100&starting_after=" + page.last_id;
  }
  if (found) return {*std::move(found), true};
  return {in_doubt("the gateway knows of no such payment; the request may still be under way")};
}

std::optional<Response> Gateway::fetch(Kind kind, std::string_view id) const {
  if (!is_id(id)) return std::nullopt;
  std::string body = get(path_of(kind) + "/" + std::string(id));
  if (body.empty()) return std::nullopt;
  return Response{200, {{"Content-Type", "application/json"}}, std::move(body)};
}

std::optional<Response> Gateway::find(Kind kind, std::string_view id, std::string_view tenant) const {
  auto response = fetch(kind, id);
  if (response && !is_of_tenant(response->body, tenant)) return std::nullopt;
  return response;
}

Response Gateway::list(Kind kind, std::string_view tenant, std::size_t limit,
                       std::string_view starting_after) const {
  std::vector<std::string> objects;
  std::string after(starting_after);
  do {
    std::string path = path_of(kind) + "?limit=100";
    if (!after.empty()) path += "&starting_after=" + after;
    TenantPage page = of_tenant(get(path), tenant);
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(objects));
    after = std::move(page.last_id);
  } while (!after.empty() && objects.size() <= limit);
  std::string body = R"({"object":"list","data":[)";
  for (std::size_t at = 0; at < std::min(limit, objects.size()); ++at)
    body.append(at == 0 ? "" : ",").append(objects[at]);
  body.append(R"(],"has_more":)").append(objects.size() > limit ? "true" : "false");
  body.append(R"(,"url":")").append(path_of(kind)).append("\"}");
  return {200, {{"Content-Type", "application/json"}}, std::move(body)};
}

LookedUp look_up(const Gateway& gateway, const paidonce::IdempotencyKey& key,
                 const paidonce::Record& record) {
  const auto kind = kind_of(record);
  if (!kind) return {in_doubt("this is no payment at the gateway")};
  Sought sought{*kind, paidonce::provider_key(key, record.created_at)};
  if (const auto amount = common::minor_units_of(record.amount)) {
    sought.amount = amount->units;
    for (const char letter : amount->currency)
      sought.currency += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return gateway.look_up(sought, record.created_at);
}

paidonce::PaymentResult<Response> ask_about(const Gateway& gateway, const paidonce::IdempotencyKey& key,
                                            const paidonce::Record& record) {
  return look_up(gateway, key, record).result;
}

}  // namespace payment_server
