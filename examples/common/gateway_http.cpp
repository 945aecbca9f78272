#include "gateway_http.hpp"

#include <stdexcept>

#include <httplib.h>

#include <paidonce/http/base_url.hpp>
#include <paidonce/http/httplib_client.hpp>

namespace common {
namespace {

namespace http = paidonce::http;

std::string checked(std::string_view url) {
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
  if (url.starts_with("https://"))
    throw std::invalid_argument(
        "this program was built without TLS, so it cannot speak to an https:// gateway");
#endif
  return http::base_url(url);
}

/// As HTML forms are encoded; what is not plain is percent-encoded, blanks too.
void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
        c == '.')
      out += c;
    else
      ((out += '%') += digits[byte >> 4]) += digits[byte & 15];
  }
}

std::string encoded(const Form& form) {
  std::string out;
  for (const auto& [name, value] : form) {
    if (!out.empty()) out += '&';
    append_encoded(out, name);
    append_encoded(out += '=', value);
  }
  return out;
}

}  // namespace

GatewayHttp::GatewayHttp(std::string_view url, const std::string& api_key, std::chrono::milliseconds timeout)
    : url_(checked(url)),
      authorization_(httplib::make_basic_authentication_header(api_key, "").second),
      timeout_(timeout) {}

Posted GatewayHttp::post(std::string_view path, const Form& form, std::string_view key) const {
  http::ClientOptions options;
  options.key_form = http::KeyForm::bare;
  options.fields = {{"Authorization", authorization_}};
  options.connect_timeout = options.write_timeout = options.read_timeout = timeout_;
  options.try_timeout = options.deadline = timeout_;
  options.attempts = 1;
  options.reply_policy = [](const http::Response&) { return http::ReplyMeaning::settled; };  // for the caller
  const std::string body = encoded(form);
  const http::Sent sent = http::IdempotentClient(url_, std::move(options))
                              .send({.method = "POST",
                                     .path = path,
                                     .query = "",
                                     .fields = {{"Content-Type", "application/x-www-form-urlencoded"}},
                                     .body = body},
                                    http::RequestKey::first_use(key));
  if (sent.status() == http::SendStatus::answered) return {sent.reply()};
  return {std::nullopt, sent.status() == http::SendStatus::nothing_sent};
}

http::Response GatewayHttp::get(const std::string& path, const std::string& otherwise) const {
  httplib::Client client(url_);
  client.set_connection_timeout(timeout_);
  client.set_read_timeout(timeout_);
  client.set_write_timeout(timeout_);
  const httplib::Result came = [&] {
    const http::detail::TryLimit limited(client, timeout_);  // those begin anew with every byte
    return client.Get(path, httplib::Headers{{"Authorization", authorization_}});
  }();
  if (!came) throw std::runtime_error(otherwise + " (" + httplib::to_string(came.error()) + ")");
  http::Response reply{came->status, {}, came->body};
  for (const auto& [name, value] : came->headers) reply.fields.push_back({name, value});
  if (!http::tells_its_end(reply))
    throw std::runtime_error(otherwise + " (its reply does not say where it ends)");
  return reply;
}

}  // namespace common
