#pragma once
// The courses of the simulation as a picture: one panel for each strategy, under the same two axes.

#include <cmath>
#include <string>
#include <vector>

#include "retry_storm.hpp"

namespace retry_storm {

/// One panel of the plot: the load of each tenth of a second on a logarithmic scale, and the share of the
/// payments that were made.
class Panel {
 public:
  static constexpr int width = 460, height = 190;
  static constexpr int left = 56, top = 30, plot_width = 360, plot_height = 120;
  static constexpr int shown = 200;  // seconds

  Panel(const Course& course, int x, int y) : course_(course), x_(x + left), y_(y + top) {}

  std::string svg() const { return frame() + load() + paid(); }

 private:
  static std::string text(int x, int y, const char* anchor, const std::string& what, const char* more = "") {
    return "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" text-anchor=\"" + anchor +
           "\"" + more + ">" + what + "</text>\n";
  }
  static std::string line(int x1, int y1, int x2, int y2) {
    return "<path class=\"grid\" d=\"M" + std::to_string(x1) + " " + std::to_string(y1) + "L" +
           std::to_string(x2) + " " + std::to_string(y2) + "\"/>\n";
  }
  int at_second(int second) const { return x_ + plot_width * second / shown; }
  /// From 10 requests a second to 100,000.
  int at_load(int requests) const {
    if (requests <= 10) return y_ + plot_height;
    return y_ + plot_height - static_cast<int>(std::lround(plot_height * (std::log10(requests) - 1) / 4));
  }

  std::string frame() const {
    std::string out = text(x_, y_ - 10, "start", course_.name, " class=\"name\"");
    for (const int requests : {10, 100, 1000, 10'000, 100'000}) {
      out += line(x_, at_load(requests), x_ + plot_width, at_load(requests));
      out += text(x_ - 6, at_load(requests) + 4, "end", with_commas(requests));
    }
    for (int second = 0; second <= shown; second += 50)
      out += text(at_second(second), y_ + plot_height + 16, "middle", std::to_string(second) + " s");
    out += text(x_ + plot_width + 6, y_ + 4, "start", "100%", " class=\"share\"");
    out += text(x_ + plot_width + 6, y_ + plot_height + 4, "start", "0%", " class=\"share\"");
    return out;
  }

  std::string load() const {
    std::string path;
    for (std::size_t at = 0; at < course_.load.size(); ++at) {
      const int x = x_ + plot_width * static_cast<int>(at) * bin / (1000 * shown);
      const int y = at_load(course_.load[at] * 1000 / bin);
      if (x > x_ + plot_width) break;
      if (y == y_ + plot_height) continue;
      path += "M" + std::to_string(x) + " " + std::to_string(y_ + plot_height) + "V" + std::to_string(y);
    }
    return "<path class=\"load\" d=\"" + path + "\"/>\n";
  }

  std::string paid() const {
    std::string path = "M" + std::to_string(x_) + " " + std::to_string(y_ + plot_height);
    std::int64_t paid = 0, of = 0;
    for (const int served : course_.served) of += served;
    for (std::size_t at = 0; at < course_.served.size(); ++at) {
      paid += course_.served[at];
      const int second = static_cast<int>(at + 1) * bin / 1000;
      const bool drawn = static_cast<int>(at + 1) * bin % 1000 == 0 || at + 1 == course_.served.size();
      if (!drawn || second > shown) continue;
      path += "L" + std::to_string(at_second(second)) + " " +
              std::to_string(y_ + plot_height - static_cast<int>(plot_height * paid / of));
    }
    return "<path class=\"paid\" d=\"" + path + "\"/>\n";
  }

  const Course& course_;
  int x_, y_;
};

/// An SVG document.
inline std::string plot(const std::vector<Course>& courses) {
  constexpr int columns = 2, head = 44;
  const int rows = static_cast<int>((courses.size() + columns - 1) / columns);
  const std::string size =
      std::to_string(columns * Panel::width) + " " + std::to_string(head + rows * Panel::height);
  std::string out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + size +
      "\" font-family=\"sans-serif\" font-size=\"11\">\n"
      "<style>.grid{stroke:#ddd}.load{stroke:#c2410c;stroke-width:1.5}"
      ".paid{stroke:#1d4ed8;stroke-width:2;fill:none}.share{fill:#1d4ed8}.name{font-weight:"
      "bold;font-size:13px}"
      "</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"56\" y=\"20\" font-size=\"13\">10,000 clients, from the moment on at which their gateway is "
      "back</text>\n"
      "<text x=\"516\" y=\"20\" fill=\"#c2410c\">requests per second (logarithmic)</text>\n"
      "<text x=\"716\" y=\"20\" fill=\"#1d4ed8\">payments made</text>\n";
  int at = 0;
  for (const Course& course : courses) {
    out += Panel(course, at % columns * Panel::width, head + at / columns * Panel::height).svg();
    ++at;
  }
  return out + "</svg>\n";
}

}  // namespace retry_storm
