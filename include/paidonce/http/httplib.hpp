#pragma once
// A Responder behind cpp-httplib (https://github.com/yhirose/cpp-httplib), 0.11 and newer. Component
// paidonce::httplib.

#include <string>
#include <string_view>

#include <httplib.h>

#include <paidonce/http/message.hpp>

namespace paidonce::inline v1::http {

/// The request as a Responder takes it: borrowed from `request`, which outlives it.
inline Request view_of(const httplib::Request& request) {
  Request view;
  view.method = request.method;
  view.path = request.path;
  const std::string_view target = request.target;
  if (const auto mark = target.find('?'); mark != target.npos) view.query = target.substr(mark + 1);
  view.body = request.body;
  for (const auto& [name, value] : request.headers) view.fields.push_back({name, value});
  return view;
}

/// Writes the response; what `to` had is replaced.
inline void send(const Response& response, httplib::Response& to) {
  to.status = response.status;
  std::string_view type = "text/plain";
  for (const Field& field : response.fields) {
    if (detail::same_name(field.name, "Content-Type"))
      type = field.value;
    else
      to.set_header(field.name, field.value);
  }
  to.set_content(response.body, std::string(type));
}

}  // namespace paidonce::inline v1::http
