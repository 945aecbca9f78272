// Surveys: amounts that are read and those that are not, sums, what is stuck, pages, stops.

#include <paidonce/recovery/survey.hpp>
#include <paidonce/testing/archetypes.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/tested_store.hpp"

using namespace paidonce;
using support::TestedStore;

namespace {

Timestamp at(std::int64_t millis) { return Timestamp(Duration(millis)); }
IdempotencyKey key(std::size_t number) { return {"shop", "order-" + std::to_string(number)}; }

Record record_of(State state, std::string amount = {}) {
  Record record;
  record.state = state;
  record.version = 1;
  record.amount = std::move(amount);
  record.created_at = at(1'000);
  record.updated_at = at(2'000);
  record.lease_until = at(32'000);
  record.expires_at = at(90'000);
  return record;
}

TestedStore store_of(const std::vector<Record>& records) {
  TestedStore store;
  for (std::size_t i = 0; i < records.size(); ++i) REQUIRE_FALSE(store.insert(key(i), records[i]));
  return store;
}

TestedStore store_of(State state, const std::vector<std::string>& amounts) {
  std::vector<Record> records;
  for (const std::string& amount : amounts) records.push_back(record_of(state, amount));
  return store_of(records);
}

std::map<std::string, std::pair<std::size_t, std::string>> totals_of(const StateSurvey& state) {
  std::map<std::string, std::pair<std::size_t, std::string>> totals;
  for (const CurrencyTotal& total : state.totals) totals[total.currency] = {total.records, total.amount};
  CHECK(totals.size() == state.totals.size());
  return totals;
}

/// The sum of amounts in one currency; empty where it has overflowed.
std::string sum_of(const std::vector<std::string>& amounts) {
  detail::AmountSum sum;
  for (const std::string& amount : amounts) {
    const std::string text = amount + " EUR";
    const auto read = detail::read_amount(text);
    REQUIRE(read);
    sum.add(read->number);
  }
  CHECK(sum.overflowed() == sum.text().empty());
  return sum.text();
}

/// Counts what is asked of it.
struct CountingStore {
  TestedStore& store;
  std::vector<ScanFilter> filters = {};

  std::optional<Record> find(const IdempotencyKey& key) { return store.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    return store.insert(key, record);
  }
  bool replace(const IdempotencyKey& key, Version version, const Record& record) {
    return store.replace(key, version, record);
  }
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    filters.push_back(filter);
    store.scan(filter, visitor);
  }
};

/// No more than a scan asks for.
struct ScannableArchetype : StoreArchetype {
  using StoreArchetype::StoreArchetype;
  template <class Visitor>
  void scan(const ScanFilter&, Visitor&&) {}
};

}  // namespace

TEST_CASE("amounts are read as Money writes them, and no other way", "[recovery][survey]") {
  for (const char* good : {"4.50 EUR", "0 JPY", "-3.00 EUR", "0.001 KWD", "1 A", "12 POINTS2",
                           "99999999999999999999999999999999999999 EUR", "0.000000000000000000000000000001 X",
                           "5 ABCDEFGHIJKLMN"})
    CHECK(detail::read_amount(good));
  for (const char* bad : {"",
                          " ",
                          "4.50",
                          "EUR",
                          "4.50EUR",
                          "4.50  EUR",
                          " 4.50 EUR",
                          "4.50 EUR ",
                          "4,50 EUR",
                          "04.50 EUR",
                          "+4.50 EUR",
                          ".5 EUR",
                          "4. EUR",
                          "4.50 eur",
                          "4.50 E-R",
                          "4.50 \xe2\x82\xac",
                          "1e3 EUR",
                          "4.50 1EUR",
                          "4.50 ABCDEFGHIJKLMNO",
                          "4.50 EUR EUR",
                          "0x1 EUR",
                          "nan EUR",
                          "- EUR",
                          "4.50\tEUR",
                          "999999999999999999999999999999999999999 EUR",
                          "0.0000000000000000000000000000001 EUR",
                          "1234567890.00000000000000000000000000000 EUR"})
    CHECK_FALSE(detail::read_amount(bad));
}

TEST_CASE("sums are exact, with as many decimals as their most exact part", "[recovery][survey]") {
  CHECK(sum_of({}) == "0");
  CHECK(sum_of({"0"}) == "0");
  CHECK(sum_of({"0.00"}) == "0.00");
  CHECK(sum_of({"4.50", "4.50", "4.50"}) == "13.50");
  CHECK(sum_of({"0.1", "0.2"}) == "0.3");
  CHECK(sum_of({"1", "0.05", "2.125"}) == "3.175");
  CHECK(sum_of({"2.125", "0.05", "1"}) == "3.175");
  CHECK(sum_of({"4.50", "-5"}) == "-0.50");
  CHECK(sum_of({"-0.05"}) == "-0.05");
  CHECK(sum_of({"-1.5", "1.50"}) == "0.00");
  CHECK(sum_of({"123456789012345678901234567890", "0.00000001"}) ==
        "123456789012345678901234567890.00000001");
  CHECK(sum_of({"9999999999999999999.999999999999999999", "0.000000000000000001"}) ==
        "10000000000000000000.000000000000000000");
}

TEST_CASE("a sum that needs more than 38 digits says so, for good", "[recovery][survey]") {
  const std::string most(38, '9'), nearly = std::string(37, '9') + "8";
  CHECK(sum_of({most}) == most);
  CHECK(sum_of({nearly, "1"}) == most);
  CHECK(sum_of({most, "-" + most}) == "0");
  CHECK(sum_of({"-" + most, "-" + most}).empty());
  CHECK(sum_of({most, "1"}).empty());
  CHECK(sum_of({most, "1", "-1"}).empty());
  CHECK(sum_of({"-" + most, "-1"}).empty());
  CHECK(sum_of({most, "0.1"}).empty());
  CHECK(sum_of({"0.1", most}).empty());
  CHECK(sum_of({"0.0", "-" + most}).empty());
  CHECK(sum_of({"0.0", "0"}) == "0.0");
}

TEST_CASE("a survey adds up what each state comes to in each currency", "[recovery][survey]") {
  TestedStore store = store_of({
      record_of(State::succeeded, "4.50 EUR"),
      record_of(State::succeeded, "0.50 EUR"),
      record_of(State::succeeded, "300 JPY"),
      record_of(State::declined, "7 EUR"),
      record_of(State::in_doubt, "12.34 USD"),
      record_of(State::in_progress, "1.00 EUR"),
      record_of(State::in_progress),
      record_of(State::in_progress, "1,00 EUR"),
      record_of(State::released),
  });
  const Survey survey = paidonce::survey(store, at(3'000));
  CHECK(survey.finished);
  CHECK_FALSE(survey.unfinished_only);
  CHECK(survey.taken_at == at(3'000));
  CHECK(survey.records() == 9);
  CHECK(survey.unfinished() == 4);
  CHECK(survey.of(State::succeeded).records == 3);
  CHECK(totals_of(survey.of(State::succeeded)) == std::map<std::string, std::pair<std::size_t, std::string>>{
                                                      {"EUR", {2, "5.00"}}, {"JPY", {1, "300"}}});
  CHECK(survey.of(State::succeeded).totals[0].currency == "EUR");
  CHECK(totals_of(survey.of(State::declined))["EUR"].second == "7");
  CHECK(totals_of(survey.of(State::in_doubt))["USD"].second == "12.34");
  CHECK(survey.of(State::in_progress).records == 3);
  CHECK(survey.of(State::in_progress).without_amount == 1);
  CHECK(survey.of(State::in_progress).unreadable == 1);
  CHECK(totals_of(survey.of(State::in_progress))["EUR"] == std::pair<std::size_t, std::string>{1, "1.00"});
  CHECK(survey.of(State::released).without_amount == 1);
  CHECK(survey.of(State::released).totals.empty());
}

TEST_CASE("a survey of nothing has nothing", "[recovery][survey]") {
  TestedStore store;
  const Survey survey = paidonce::survey(store, at(5));
  CHECK(survey.finished);
  CHECK(survey.records() == 0);
  CHECK_FALSE(survey.oldest_unfinished);
  CHECK_FALSE(survey.oldest_in_doubt);
  CHECK_FALSE(survey.earliest_begun);
  CHECK(survey.age(survey.oldest_in_doubt) == Duration(0));
}

TEST_CASE("an overflow is told in its currency alone", "[recovery][survey]") {
  const std::string most(38, '9');
  TestedStore store = store_of(State::succeeded, {most + " AAA", "1 AAA", "1 BBB"});
  const StateSurvey state = paidonce::survey(store, at(0)).of(State::succeeded);
  REQUIRE(state.totals.size() == 2);
  CHECK(state.totals[0].records == 2);
  CHECK(state.totals[0].amount.empty());
  CHECK(state.totals[1].amount == "1");
}

TEST_CASE("made-up currencies do not fill the memory", "[recovery][survey]") {
  std::vector<std::string> amounts;
  for (std::size_t i = 0; i < 2'000; ++i) amounts.push_back("1 C" + std::to_string(i));
  TestedStore store = store_of(State::declined, amounts);
  const StateSurvey state = paidonce::survey(store, at(0)).of(State::declined);
  CHECK(state.records == 2'000);
  CHECK(state.totals.size() == detail::StateTally::most_currencies);
  CHECK(state.unreadable == 2'000 - detail::StateTally::most_currencies);
}

TEST_CASE("a survey finds what is stuck, and since when", "[recovery][survey]") {
  std::vector<Record> records(7, record_of(State::in_progress));
  records[0].lease_until = at(50'000);  // runs, and keeps itself fresh
  records[0].updated_at = at(40'000);
  records[0].created_at = at(10);
  records[1].lease_until = at(40'001);
  records[1].updated_at = at(39'000);
  records[2].lease_until = at(40'000);  // is over at that very moment
  records[2].updated_at = at(20'000);
  records[3].state = State::in_doubt;
  records[3].updated_at = at(30'000);
  records[3].lease_until = at(1);
  records[4].state = State::in_doubt;
  records[4].updated_at = at(25'000);
  records[5].state = State::succeeded;  // none of these counts, however old
  records[5].created_at = records[5].updated_at = at(1);
  records[6].state = State::released;
  records[6].created_at = records[6].updated_at = at(2);
  TestedStore store = store_of(records);

  for (const bool only_unfinished : {false, true}) {
    const Survey survey =
        only_unfinished ? survey_unfinished(store, at(40'000)) : paidonce::survey(store, at(40'000));
    CHECK(survey.unfinished_only == only_unfinished);
    CHECK(survey.finished);
    CHECK(survey.unfinished() == 5);
    CHECK(survey.records() == (only_unfinished ? 5U : 7U));
    CHECK(survey.abandoned == 1);
    CHECK(survey.oldest_unfinished == at(20'000));
    CHECK(survey.oldest_in_doubt == at(25'000));
    CHECK(survey.earliest_begun == at(10));
    CHECK(survey.age(survey.oldest_in_doubt) == Duration(15'000));
  }
  CHECK(survey_unfinished(store, at(40'001)).abandoned == 2);
}

TEST_CASE("what a sweep may erase counts as expired", "[recovery][survey]") {
  std::vector<Record> records;
  for (const State state :
       {State::in_progress, State::succeeded, State::declined, State::in_doubt, State::released})
    records.push_back(record_of(state));
  records.push_back(record_of(State::released));
  records.back().checkpoint = "a step";
  TestedStore store = store_of(records);
  CHECK(paidonce::survey(store, at(89'999)).expired == 0);
  const Survey survey = paidonce::survey(store, at(90'000));
  CHECK(survey.expired == 3);
  CHECK(store.erase_expired(at(90'000), 100) == 3);
  CHECK(paidonce::survey(store, at(90'000)).expired == 0);
}

TEST_CASE("ages of any times are held within bounds", "[recovery][survey]") {
  Survey survey;
  survey.taken_at = at(5'000);
  CHECK(survey.age(at(4'000)) == Duration(1'000));
  CHECK(survey.age(at(5'001)) == Duration(0));
  survey.taken_at = Timestamp::max();
  CHECK(survey.age(Timestamp::min()) == Duration::max());
  CHECK(survey.age(at(0)) == Duration::max());
  CHECK(survey.age(at(1)) == Duration::max() - Duration(1));
}

TEST_CASE("pages of any size come to the same survey", "[recovery][survey]") {
  std::vector<std::string> amounts;
  for (std::size_t i = 0; i < 100; ++i) amounts.push_back(std::to_string(i) + ".25 EUR");
  TestedStore store = store_of(State::succeeded, amounts);
  for (const std::size_t page : {1U, 3U, 99U, 100U, 101U, 1000U}) {
    CountingStore counting{store};
    std::vector<std::size_t> told;
    const Survey survey = paidonce::survey(
        counting, at(0), {.page = page, .progress = [&](std::size_t records) { told.push_back(records); }});
    CHECK(survey.finished);
    CHECK(survey.of(State::succeeded).records == 100);
    CHECK(totals_of(survey.of(State::succeeded))["EUR"].second == "4975.00");
    CHECK(counting.filters.size() == 100 / page + 1);
    for (const ScanFilter& filter : counting.filters) CHECK(filter.limit == page);
    CHECK(told.back() == 100);
    CHECK(told.size() == counting.filters.size());
  }
}

TEST_CASE("the survey of the unfinished asks for nothing else", "[recovery][survey]") {
  TestedStore store;
  CountingStore counting{store};
  (void)survey_unfinished(counting, at(0));
  REQUIRE(counting.filters.size() == 1);
  CHECK(counting.filters[0].states == std::vector<State>{State::in_progress, State::in_doubt});
}

TEST_CASE("a survey ends at its limit, and when it is stopped", "[recovery][survey]") {
  TestedStore store = store_of(State::succeeded, std::vector<std::string>(100, "1 EUR"));
  const Survey limited = paidonce::survey(store, at(0), {.page = 30, .limit = 50});
  CHECK(limited.records() == 50);
  CHECK_FALSE(limited.finished);
  CHECK(paidonce::survey(store, at(0), {.page = 30, .limit = 101}).finished);

  Stop stop;
  SurveyOptions options{.page = 10, .stop = &stop};
  options.progress = [&](std::size_t records) {
    if (records == 30) stop.request();
  };
  const Survey stopped = paidonce::survey(store, at(0), options);
  CHECK(stopped.records() == 30);
  CHECK_FALSE(stopped.finished);
  CHECK(totals_of(stopped.of(State::succeeded))["EUR"].second == "30");
  CHECK(paidonce::survey(store, at(0), options).records() == 0);
}

TEST_CASE("a survey without a page or a limit is refused", "[recovery][survey]") {
  TestedStore store;
  CHECK_THROWS_MATCHES(paidonce::survey(store, at(0), {.page = 0}), Error,
                       support::has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(survey_unfinished(store, at(0), {.limit = 0}), Error,
                       support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("a survey asks of a store no more than that it can be scanned", "[recovery][survey]") {
  ScannableArchetype store{MakeArchetype()};
  const Survey survey = paidonce::survey(store, at(0));
  CHECK(survey.finished);
  CHECK(survey.records() == 0);
}
