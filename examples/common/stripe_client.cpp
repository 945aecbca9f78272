#include "stripe_client.hpp"

#include <algorithm>
#include <stdexcept>

#include <paidonce/http/base_url.hpp>

namespace shop {
namespace {

std::string_view checked(std::string_view url) {
  switch (paidonce::http::problem_of_url(url)) {
    case paidonce::http::UrlProblem::shape:
      throw std::invalid_argument("a gateway's URL looks like http://127.0.0.1:8000");
    case paidonce::http::UrlProblem::port:
      throw std::invalid_argument("the port in a gateway's URL is a number from 1 to 65535");
    case paidonce::http::UrlProblem::none: break;
  }
  return url;
}

}  // namespace

StripeClient::StripeClient(std::string_view url, const std::string& api_key,
                           std::chrono::milliseconds timeout)
    : http_(checked(url), api_key, timeout) {}

ChargeReport StripeClient::charge(const ChargeRequest& request) const {
  const common::Posted posted = http_.post("/v1/charges",
                                           {{"amount", std::to_string(request.amount)},
                                            {"currency", request.currency},
                                            {"source", request.source},
                                            {"description", request.description},
                                            {"metadata[order]", request.order},
                                            {"metadata[provider_key]", request.provider_key}},
                                           request.provider_key);
  if (posted.reply) return report_of(request, posted.reply->status, posted.reply->body);
  if (posted.nothing_sent) return {paidonce::not_executed("no connection to the provider: nothing was sent")};
  return {paidonce::in_doubt("the request was sent, and no whole reply came")};
}

paidonce::PaymentResult<Charge> StripeClient::find_charge_by_order(const ChargeRequest& request) const {
  std::vector<ListedCharge> found;
  std::string path = "/v1/charges?limit=100";
  for (bool more = true; more;) {
    const auto reply = http_.get(path, "the provider did not answer what it knows of the order");
    ListPage page = page_of(reply.status, reply.body);
    std::copy_if(page.charges.begin(), page.charges.end(), std::back_inserter(found),
                 [&](const ListedCharge& listed) { return listed.charge.order == request.order; });
    more = !page.last_id.empty();
    path = "/v1/charges?limit=100&starting_after=" + page.last_id;
  }

  const auto is_paid = [](const ListedCharge& listed) { return listed.charge.failure.empty(); };
  const auto paid = std::find_if(found.begin(), found.end(), is_paid);
  if (paid != found.end()) {
    if (std::count_if(found.begin(), found.end(), is_paid) > 1)
      return paidonce::in_doubt("the provider lists several charges for this order; somebody has to look");
    if (paid->charge.amount != request.amount || paid->charge.currency != request.currency)
      return paidonce::in_doubt("the provider lists a charge for another amount, " + paid->charge.id);
    return paidonce::succeeded(paid->charge);
  }
  const auto failed = std::find_if(found.begin(), found.end(), [&](const ListedCharge& listed) {
    return listed.provider_key == request.provider_key;
  });
  if (failed != found.end()) return paidonce::declined(failed->charge);
  return paidonce::in_doubt("the provider knows of no charge; the request may still be under way");
}

}  // namespace shop
