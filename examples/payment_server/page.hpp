#pragma once
// Pages: the files of page/, which are part of the program, and the headers that every page goes out with.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <httplib.h>

namespace payment_server {

struct PageFile {
  std::string_view name, text;
};
/// All of page/, as the build embedded them (page/embed.cmake).
const std::initializer_list<PageFile>& page_files();

/// The text of a file of page/; throws `std::logic_error` where there is none.
std::string_view page_file(std::string_view name);

/// For text between tags and within quoted attributes.
std::string escaped(std::string_view text);

/// What stands for a name of a template: text, which is escaped, or HTML, which was made by `fill`.
struct Filling {
  std::string_view name;
  std::string_view text;
};
struct Html {
  std::string text;
};
struct HtmlFilling {
  std::string_view name;
  const Html& html;
};

/// The template with `{{name}}` replaced by text, escaped, and `{{{name}}}` by HTML. A name that nothing was
/// given for throws `std::logic_error`: a page with a hole is not shown.
Html fill(std::string_view file, std::initializer_list<Filling> texts,
          std::initializer_list<HtmlFilling> parts = {});

/// Where the style sheet, the script and the pictures are; the address changes with the file.
std::string address_of(std::string_view file);
inline std::string style_href() { return address_of("style.css"); }

/// A page: no script but our own files, no frame around it, in no cache.
void answer_page(httplib::Response& response, int status, std::string html);
void set_page_headers(httplib::Response& response);

/// Whether the browser says that the request comes from a page of this very host: by Sec-Fetch-Site, or by
/// Origin where that is not sent. A client that sends neither is no browser of these days, and is believed:
/// no cookie or password goes with these requests. A proxy in front has to pass `Host` on as it came.
bool from_own_page(const httplib::Request& request);

/// `GET /page/...`
void add_page_files(httplib::Server& server);

}  // namespace payment_server
