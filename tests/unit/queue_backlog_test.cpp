#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/queue/backlog.hpp>
#include <paidonce/queue/message_source.hpp>

#include "support/catch.hpp"

namespace {

using paidonce::Duration;
using paidonce::Message;
using Backlog = paidonce::detail::Backlog<int>;

Message about(std::string key, std::string body = {}) {
  Message message;
  message.key = std::move(key);
  message.body = std::move(body);
  return message;
}

constexpr auto all = [](int) { return true; };

/// The same rules, looked up in one list of everything by whoever asks.
class Model {
 public:
  void add(const Message& message, int handle, Duration now) {
    rows_.push_back({++last_, message, handle, now, 'h', message.deliveries});
  }

  std::vector<std::uint64_t> may_go(Duration now) const {
    std::vector<const Row*> free;
    std::set<std::string> seen;
    for (const Row& row : rows_) {
      const bool first = row.message.key.empty() || seen.insert(row.message.key).second;
      if (first && row.where == 'h' && row.due <= now) free.push_back(&row);
    }
    std::stable_sort(free.begin(), free.end(), [](auto* a, auto* b) { return a->due < b->due; });
    std::vector<std::uint64_t> tokens;
    for (const Row* row : free) tokens.push_back(row->token);
    return tokens;
  }

  std::optional<Duration> next_due(Duration now) const {
    for (Duration ahead(0); ahead <= Duration(50); ++ahead)
      if (!may_go(now + ahead).empty()) return ahead;
    return std::nullopt;
  }

  std::uint32_t go(std::uint64_t token) {
    Row& row = *find(token);
    row.where = 'o';
    return row.deliveries++;
  }
  bool done(std::uint64_t token) {
    const auto row = find(token);
    if (row == rows_.end() || row->where == 'h') return false;
    const bool ours = row->where == 'o';
    rows_.erase(row);
    return ours;
  }
  bool retry(std::uint64_t token, Duration due) {
    const auto row = find(token);
    if (row == rows_.end() || row->where == 'h') return false;
    if (row->where == 'l') return done(token);
    row->where = 'h';
    row->due = due;
    return true;
  }
  template <class Which>
  std::vector<int> give_back(Which which) {
    std::vector<int> taken;
    std::deque<Row> left;
    for (const Row& row : rows_)
      if (row.where == 'h' && which(row.handle))
        taken.push_back(row.handle);
      else
        left.push_back(row);
    rows_ = left;
    return taken;
  }
  template <class Which>
  void drop(Which which) {
    for (Row& row : rows_)
      if (row.where == 'o' && which(row.handle)) row.where = 'l';
    give_back(which);
  }
  bool is_ours(std::uint64_t token) {
    const auto row = find(token);
    return row != rows_.end() && row->where == 'o';
  }
  std::size_t count(const std::string& where) const {
    return static_cast<std::size_t>(std::count_if(rows_.begin(), rows_.end(), [&](const Row& row) {
      return where.find(row.where) != std::string::npos;
    }));
  }

 private:
  struct Row {
    std::uint64_t token;
    Message message;
    int handle;
    Duration due;
    char where;  // here, out or lost
    std::uint32_t deliveries;
  };
  std::deque<Row>::iterator find(std::uint64_t token) {
    return std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.token == token; });
  }

  std::deque<Row> rows_;
  std::uint64_t last_ = 0;
};

}  // namespace

TEST_CASE("The messages of a key go out one at a time and in order", "[queue]") {
  Backlog backlog;
  backlog.add(about("a", "first"), 1, Duration(0));
  backlog.add(about("a", "second"), 2, Duration(0));
  backlog.add(about("b", "other"), 3, Duration(0));
  const auto first = backlog.next(Duration(0));
  REQUIRE(first);
  CHECK(first->body == "first");
  CHECK(backlog.next(Duration(0))->body == "other");
  CHECK_FALSE(backlog.next(Duration(0)));
  CHECK_FALSE(backlog.next_due(Duration(0)));
  CHECK(*backlog.find(first->token) == 1);
  CHECK(backlog.done(first->token));
  CHECK(backlog.next(Duration(0))->body == "second");
}

TEST_CASE("A message that waits for its retry holds back only those of its key", "[queue]") {
  Backlog backlog;
  backlog.add(about("a", "first"), 1, Duration(0));
  backlog.add(about("a", "second"), 2, Duration(0));
  backlog.add(about("", "free"), 3, Duration(1));
  const auto first = backlog.next(Duration(1));
  REQUIRE(first);
  CHECK(first->deliveries == 1);
  CHECK(backlog.retry(*first, Duration(10)));
  CHECK(backlog.next(Duration(1))->body == "free");
  CHECK_FALSE(backlog.next(Duration(9)));
  CHECK(backlog.next_due(Duration(9)) == Duration(1));
  auto again = backlog.next(Duration(10));
  REQUIRE(again);
  CHECK(again->body == "first");
  CHECK(again->deliveries == 2);
  --again->deliveries;  // this one does not count
  CHECK(backlog.retry(*again, Duration(20)));
  again = backlog.next(Duration(20));
  REQUIRE(again);
  CHECK(again->deliveries == 2);
}

TEST_CASE("What was lost while it was out can no longer be settled and still holds its key", "[queue]") {
  Backlog backlog;
  backlog.add(about("a", "old"), 1, Duration(0));
  const auto old = backlog.next(Duration(0));
  REQUIRE(old);
  backlog.add(about("a", "waits"), 1, Duration(0));
  backlog.drop(all);
  CHECK(backlog.held() == 0);
  CHECK(backlog.find(old->token) == nullptr);
  backlog.add(about("a", "old again"), 2, Duration(0));
  CHECK(backlog.held() == 1);
  CHECK_FALSE(backlog.next(Duration(0)));
  CHECK_FALSE(backlog.done(old->token));
  CHECK(backlog.next(Duration(0))->body == "old again");
}

TEST_CASE("What is given back is what has not gone out", "[queue]") {
  Backlog backlog;
  for (int handle = 1; handle <= 3; ++handle) backlog.add(about("a"), handle, Duration(0));
  const auto out = backlog.next(Duration(0));
  REQUIRE(out);
  CHECK(backlog.give_back(all) == std::vector{2, 3});
  CHECK(backlog.held() == 1);
  CHECK(backlog.done(out->token));
  CHECK(backlog.held() == 0);
  CHECK_FALSE(backlog.done(out->token));
}

TEST_CASE("A backlog does what one long list of rules does", "[queue]") {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto up_to = [&](unsigned most) { return random() % (most + 1); };
    Backlog backlog;
    Model model;
    std::vector<Message> out;  // lost ones among them
    Duration now(0);
    int handles = 0;
    for (int step = 0; step < 200; ++step) {
      now += Duration(up_to(3) == 0 ? 1 : 0);
      const auto is_of = [part = static_cast<int>(up_to(2))](int handle) { return handle % 3 == part; };
      switch (up_to(11)) {
        case 0:
        case 1:
        case 2: {
          const Message message = about(up_to(3) == 0 ? "" : std::string(1, char('a' + up_to(2))));
          backlog.add(message, ++handles, now);
          model.add(message, handles, now);
          break;
        }
        case 3:
        case 4:
        case 5:
        case 6: {
          const auto free = model.may_go(now);
          const auto next = backlog.next(now);
          REQUIRE(next.has_value() == !free.empty());
          if (!next) break;
          REQUIRE(next->token == free.front());
          REQUIRE(model.go(next->token) == next->deliveries);
          out.push_back(*next);
          break;
        }
        case 7:
        case 8:
        case 9: {
          if (out.empty()) break;
          const auto at = out.begin() + static_cast<std::ptrdiff_t>(random() % out.size());
          REQUIRE((backlog.find(at->token) != nullptr) == model.is_ours(at->token));
          const Duration due = now + Duration(up_to(5));
          if (up_to(1) == 0)
            REQUIRE(backlog.done(at->token) == model.done(at->token));
          else
            REQUIRE(backlog.retry(*at, due) == model.retry(at->token, due));
          out.erase(at);
          break;
        }
        case 10:
          if (up_to(9) == 0) REQUIRE(backlog.give_back(is_of) == model.give_back(is_of));
          break;
        default:
          if (up_to(9) > 0) break;
          backlog.drop(is_of);
          model.drop(is_of);
      }
      REQUIRE(backlog.held() == model.count("ho"));
      REQUIRE(backlog.out() == model.count("o"));
      REQUIRE(backlog.next_due(now) == model.next_due(now));
    }
  }
}
