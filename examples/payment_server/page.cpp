#include "page.hpp"

#include <algorithm>
#include <stdexcept>

#include <paidonce/fingerprint.hpp>
#include <paidonce/http/message.hpp>

namespace payment_server {
namespace {

std::string_view type_of(std::string_view file) {
  if (file.ends_with(".css")) return "text/css; charset=utf-8";
  if (file.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (file.ends_with(".svg")) return "image/svg+xml";
  return {};  // a template, which nobody fetches
}

std::string value_of(std::string_view name, std::initializer_list<Filling> texts) {
  for (const Filling& filling : texts)
    if (filling.name == name) return escaped(filling.text);
  throw std::logic_error("nothing was given for " + std::string(name) + " of a page");
}

std::string value_of(std::string_view name, std::initializer_list<HtmlFilling> parts) {
  for (const HtmlFilling& filling : parts)
    if (filling.name == name) return filling.html.text;
  throw std::logic_error("nothing was given for " + std::string(name) + " of a page");
}

}  // namespace

std::string_view page_file(std::string_view name) {
  for (const PageFile& file : page_files())
    if (file.name == name) return file.text;
  throw std::logic_error("page/" + std::string(name) + " is not part of this program");
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char letter : text) switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += letter;
    }
  return out;
}

Html fill(std::string_view file, std::initializer_list<Filling> texts,
          std::initializer_list<HtmlFilling> parts) {
  std::string_view rest = page_file(file);
  Html html;
  for (auto at = rest.find("{{"); at != rest.npos; at = rest.find("{{")) {
    html.text += rest.substr(0, at);
    const bool raw = rest.substr(at).starts_with("{{{");
    const std::string_view closing = raw ? "}}}" : "}}";
    rest.remove_prefix(at + closing.size());
    const auto end = rest.find(closing);
    if (end == rest.npos) throw std::logic_error("page/" + std::string(file) + " has a name without an end");
    const std::string_view name = rest.substr(0, end);
    html.text += raw ? value_of(name, parts) : value_of(name, texts);
    rest.remove_prefix(end + closing.size());
  }
  html.text += rest;
  return html;
}

std::string address_of(std::string_view file) {
  return "/page/" + std::string(file) + "?" + paidonce::fingerprint(page_file(file)).hex().substr(2, 12);
}

void set_page_headers(httplib::Response& response) {
  response.set_header("Content-Security-Policy",
                      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                      "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "same-origin");  // with no-referrer, forms would send "Origin: null"
  response.set_header("Cross-Origin-Opener-Policy", "same-origin");
  response.set_header("Cache-Control", "no-store");
}

void answer_page(httplib::Response& response, int status, std::string html) {
  set_page_headers(response);
  response.status = status;
  response.set_content(std::move(html), "text/html; charset=utf-8");
}

bool from_own_page(const httplib::Request& request) {
  if (request.has_header("Sec-Fetch-Site")) {
    const std::string site = request.get_header_value("Sec-Fetch-Site");
    return site == "same-origin" || site == "none";  // none: the person's own doing, such as a reload
  }
  if (!request.has_header("Origin")) return true;
  const std::string origin = request.get_header_value("Origin");
  const auto host = origin.find("://");
  return host != origin.npos && paidonce::http::detail::same_name(std::string_view(origin).substr(host + 3),
                                                                  request.get_header_value("Host"));
}

void add_page_files(httplib::Server& server) {
  server.Get(R"(/page/([a-z.]+))", [](const httplib::Request& request, httplib::Response& response) {
    const std::string name = request.matches[1];
    const auto type = type_of(name);
    const auto& files = page_files();
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const PageFile& known) { return known.name == name; });
    if (type.empty() || file == files.end()) {
      response.status = 404;
      return response.set_content("There is no such file.\n", "text/plain");
    }
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_header("Cache-Control", "public, max-age=31536000, immutable");
    response.set_content(file->text.data(), file->text.size(), std::string(type));
  });
}

}  // namespace payment_server
