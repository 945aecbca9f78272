// pay_orders against our own gateway: what it reports is what the provider's list holds.

#include <cstdlib>
#include <string>
#include <vector>

#include "support/bookkeeping.hpp"
#include "support/catch.hpp"
#include "support/gateways.hpp"
#include "support/pay_orders.hpp"

using namespace integration;
using Strings = std::vector<std::string>;

namespace {

/// The options of a gateway with this kind of trouble.
Strings trouble(const std::string& kind, unsigned seed, const std::string& dedupe) {
  Strings options = {"--dedupe", dedupe, "--seed", std::to_string(seed), "--delay-ms", "250"};
  const auto rate = [&](const char* name, const char* value) {
    options.insert(options.end(), {name, value});
  };
  if (kind == "drops") rate("--drop-rate", "0.4");
  if (kind == "drops before") rate("--drop-before-rate", "0.4");
  if (kind == "declines") rate("--decline-rate", "0.5");
  if (kind == "limits") rate("--limit-rate", "0.6");
  if (kind == "errors") rate("--error-rate", "0.4");
  if (kind == "delays") rate("--delay-rate", "0.3");
  if (kind == "crashes") rate("--crash-rate", "0.1");
  if (kind == "everything")
    for (const char* name : {"--drop-rate", "--drop-before-rate", "--decline-rate", "--limit-rate",
                             "--error-rate", "--delay-rate", "--crash-rate"})
      rate(name, "0.06");
  return options;
}

void check_trouble(const std::string& kind, unsigned seed, const std::string& dedupe) {
  INFO(kind << ", seed " << seed << ", deduplication " << dedupe);
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", trouble(kind, seed, dedupe));
  const auto input = write_file(files / "orders.csv", many_orders(40));
  // Who is turned away waits for a second: all at a time, so that the test does not.
  const Paid paid =
      pay_orders(input, gateway.url(),
                 {"--threads", kind == "limits" ? "68" : "16", "--tries", "4", "--timeout-ms", "150"});
  INFO(paid.err);
  REQUIRE((paid.status == 0 || paid.status == 3));
  CHECK(paid.report.at("lines").size() == 68);
  CHECK(paid.count("key_reused") == 5);
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});

  // There was trouble indeed.
  if (kind == "drops before" || kind == "errors") CHECK(paid.count("in_doubt") > 0);
  if (kind == "declines") CHECK(paid.count("declined") > 0);
  if (kind == "drops" || kind == "limits" || kind == "delays") CHECK(paid.count("paid") > 0);
  if (kind == "crashes") CHECK(gateway.starts() > 1);
}

}  // namespace

TEST_CASE("the sample orders are paid once each, whether or not the gateway deduplicates", "[pay_orders]") {
  const std::string dedupe = GENERATE("on", "off");
  CAPTURE(dedupe);
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", dedupe});
  const Paid paid = pay_orders(EXAMPLES "/orders.csv", gateway.url(), {"--threads", "8"});
  CHECK(paid.status == 3);
  CHECK(paid.report.at("lines").size() == 61);
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});
  CHECK(gateway.starts() == 2);  // one of them is tok_crash

  const auto told = told_of_orders(paid.report);
  CHECK(told.at("coffee-1001") == "paid");
  CHECK(told.at("coffee-1004") == "declined");
  CHECK(told.at("coffee-1007") == "paid");      // tok_dropReply: found at the provider
  CHECK(told.at("bread-5006") == "paid");       // tok_crash: found at the provider, after its restart
  CHECK(told.at("books-2005") == "paid");       // tok_429, then tok_visa
  CHECK(told.at("garden-6010") == "in_doubt");  // tok_500
  CHECK(told.at("garden-6011") == "in_doubt");  // tok_dropRequest
  CHECK(paid.count("key_reused") == 4);
  CHECK(paid.count("malformed") == 0);
}

TEST_CASE("drops after the charge never charge twice", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U, 3U})
    for (const char* dedupe : {"on", "off"}) check_trouble("drops", seed, dedupe);
}

TEST_CASE("drops before the charge never charge twice", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U, 3U})
    for (const char* dedupe : {"on", "off"}) check_trouble("drops before", seed, dedupe);
}

TEST_CASE("declined orders are not charged", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U})
    for (const char* dedupe : {"on", "off"}) check_trouble("declines", seed, dedupe);
}

TEST_CASE("orders that the gateway limits are tried again and charged once", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U})
    for (const char* dedupe : {"on", "off"}) check_trouble("limits", seed, dedupe);
}

TEST_CASE("errors of the gateway leave doubt, not double charges", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U})
    for (const char* dedupe : {"on", "off"}) check_trouble("errors", seed, dedupe);
}

TEST_CASE("charges that come after the client gave up are never doubled", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U})
    for (const char* dedupe : {"on", "off"}) check_trouble("delays", seed, dedupe);
}

TEST_CASE("a gateway that crashes in between never makes pay_orders charge twice", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U, 3U})
    for (const char* dedupe : {"on", "off"}) check_trouble("crashes", seed, dedupe);
}

TEST_CASE("all kinds of trouble at once never charge twice", "[pay_orders]") {
  for (const unsigned seed : {1U, 2U, 3U})
    for (const char* dedupe : {"on", "off"}) check_trouble("everything", seed, dedupe);
}

TEST_CASE("many seeds of all kinds of trouble never charge twice", "[pay_orders][soak]") {
  for (unsigned seed = 10; seed < 60; ++seed)
    for (const char* dedupe : {"on", "off"}) check_trouble("everything", seed, dedupe);
}

TEST_CASE("an order that is repeated on every line is charged once and replayed otherwise", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  std::string csv = "order_id,amount,currency,source\n";
  for (int line = 0; line < 300; ++line) csv += "the-one,4.50,EUR,tok_visa\n";
  const Paid paid = pay_orders(write_file(files / "orders.csv", csv), gateway.url(), {"--threads", "32"});
  CHECK(paid.status == 0);
  std::size_t fresh = 0;
  for (const auto& line : paid.report.at("lines")) fresh += line.at("replayed") == false ? 1U : 0U;
  CHECK(fresh == 1);
  CHECK(paid.count("paid") == 300);
  CHECK(gateway.charges().size() == 1);
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});
}

TEST_CASE("it is the file's first line of an order that is paid", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  std::string csv = "order_id,amount,currency,source\n";
  for (int order = 0; order < 50; ++order) {
    csv += "order-" + std::to_string(order) + ",1.00,EUR,tok_visa\n";
    csv += "order-" + std::to_string(order) + ",1.00,USD,tok_visa\n";
    csv += "order-" + std::to_string(order) + ",2.00,EUR,tok_visa\n";
    csv += "order-" + std::to_string(order) + ",1.00,EUR,tok_mastercard\n";
  }
  const Paid paid = pay_orders(write_file(files / "orders.csv", csv), gateway.url(), {"--threads", "32"});
  CHECK(paid.status == 0);
  CHECK(paid.count("paid") == 50);
  CHECK(paid.count("key_reused") == 150);
  for (std::size_t line = 2; line <= 201; line += 4) CHECK(paid.line(line).at("status") == "paid");
  CHECK(paid.report.at("totals").at(0).at("paid").at("amount") == "50.00");
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});
}

TEST_CASE("wrong lines are reported with their numbers, and the rest go on", "[pay_orders][csv]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const std::string csv =
      "\xEF\xBB\xBForder_id,amount,currency,source\r\n"  // 1: a byte order mark, and lines as Windows writes
                                                         // them
      "a,4.50,EUR,tok_visa\r\n"                          // 2
      "\r\n"                                             // 3: blank
      "b,4.5x,EUR,tok_visa\r\n"                          // 4
      "c,4.50,XXQ,tok_visa\r\n"                          // 5
      ",4.50,EUR,tok_visa\r\n"                           // 6
      + std::string(300, 'k') +
      ",4.50,EUR,tok_visa\r\n"                         // 7
      "d,4.50,EUR\r\n"                                 // 8
      "e,4.505,EUR,tok_visa\r\n"                       // 9
      "f,4.5,JPY,tok_visa\r\n"                         // 10
      "g,-4.50,EUR,tok_visa\r\n"                       // 11
      "h,0.00,EUR,tok_visa\r\n"                        // 12
      "\"i,4.50,EUR,tok_visa\r\n"                      // 13: a quote without an end
      "j,4.50,EUR,\r\n"                                // 14
      "k,4.50,EUR,tok_visa,more\r\n"                   // 15
      "l,99999999999999999999999999,EUR,tok_visa\r\n"  // 16
      "m\x01,4.50,EUR,tok_visa\r\n"                    // 17
      "n\xFF,4.50,EUR,tok_visa\r\n"                    // 18
      "o,1e2,EUR,tok_visa\r\n"                         // 19
      "p,0x10,EUR,tok_visa\r\n"                        // 20
      "q,4.50,XAU,tok_visa\r\n"                        // 21: gold has no minor unit
      "r,,EUR,tok_visa\r\n"                            // 22
      + std::string(255, 'z') +
      ",1.00,EUR,tok_visa\r\n"   // 23: as long as a key may be
      "last,2.50,EUR,tok_visa";  // 24: no end of line
  const Paid paid = pay_orders(write_file(files / "orders.csv", csv), gateway.url());
  CHECK(paid.status == 1);
  CHECK(paid.count("malformed") == 19);
  const auto problem = [&](std::size_t line) {
    CHECK(paid.line(line).at("status") == "malformed");
    return paid.line(line).at("reason").get<std::string>();
  };
  CHECK_THAT(problem(4), support::contains("amount is not a plain number"));
  CHECK_THAT(problem(5), support::contains("currency"));
  CHECK_THAT(problem(6), support::contains("order_id is empty"));
  CHECK_THAT(problem(7), support::contains("order_id has 300 bytes"));
  CHECK_THAT(problem(8), support::contains("the line has 3 columns and the header 4"));
  CHECK_THAT(problem(9), support::contains("more decimals than EUR has (2)"));
  CHECK_THAT(problem(10), support::contains("more decimals than JPY has (0)"));
  CHECK_THAT(problem(11), support::contains("not more than zero"));
  CHECK_THAT(problem(12), support::contains("not more than zero"));
  CHECK_THAT(problem(13), support::contains("quote"));
  CHECK_THAT(problem(14), support::contains("source is empty"));
  CHECK_THAT(problem(15), support::contains("the line has 5 columns"));
  CHECK_THAT(problem(16), support::contains("too large"));
  CHECK_THAT(problem(17), support::contains("control characters"));
  CHECK_THAT(problem(18), support::contains("UTF-8"));
  CHECK_THAT(problem(19), support::contains("amount is not a plain number"));
  CHECK_THAT(problem(20), support::contains("amount is not a plain number"));
  CHECK_THAT(problem(21), support::contains("currency"));
  CHECK_THAT(problem(22), support::contains("amount is not a plain number"));
  CHECK(paid.line(4).at("order_id") == "b");
  for (const std::size_t line : {6U, 7U, 8U, 13U, 15U, 17U, 18U}) CHECK(paid.line(line).at("order_id") == "");
  for (const std::size_t line : {2U, 23U, 24U}) CHECK(paid.line(line).at("status") == "paid");
  CHECK(paid.report.at("lines").size() == 22);
  CHECK(discrepancies(paid.report, gateway.charges()) == Strings{});
}

TEST_CASE("a header without a column is reported as the wrong line that it is", "[pay_orders][csv]") {
  const TemporaryDirectory files;
  const ClosedPort nobody;
  const std::string csv =
      GENERATE("", "order_id,amount,source\na,1,tok_visa\n", "\n\n", "a,4.50,EUR,tok_visa\n");
  const Paid paid = pay_orders(write_file(files / "orders.csv", csv), nobody.url());
  CHECK(paid.status == 1);
  REQUIRE(paid.report.at("lines").size() == 1);
  CHECK_THAT(paid.report["lines"][0].at("reason").get<std::string>(),
             support::contains("the header has no column"));
}

TEST_CASE("columns are found by their names", "[pay_orders][csv]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const Paid paid =
      pay_orders(write_file(files / "orders.csv",
                            "note,source,currency,amount,order_id\n\"a, \"\"b\"\"\",tok_visa,EUR,4.50,o-1\n"),
                 gateway.url());
  CHECK(paid.status == 0);
  CHECK(paid.line(2).at("order_id") == "o-1");
  CHECK(paid.line(2).at("amount") == "4.50");
}

TEST_CASE("the exit status says whether everything is settled", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const std::string header = "order_id,amount,currency,source\n";
  const auto status = [&](const std::string& lines) {
    return pay_orders(write_file(files / "orders.csv", header + lines), gateway.url(), {"--tries", "2"})
        .status;
  };
  CHECK(status("") == 0);
  CHECK(status("a,1.00,EUR,tok_visa\na,1.00,EUR,tok_visa\n") == 0);
  CHECK(status("b,1.00,EUR,tok_chargeDeclined\n") == 0);
  CHECK(status("c,1.00,EUR,tok_visa\nc,2.00,EUR,tok_visa\n") == 0);
  CHECK(status("d,1.00,EUR,tok_visa\ne,,EUR,tok_visa\n") == 1);
  CHECK(status("f,1.00,EUR,tok_500\n") == 3);
  CHECK(status("g,1.00,EUR,tok_429\n") == 3);
  CHECK(status("h,1.00,EUR,tok_500\ni,,EUR,tok_visa\n") == 3);
}

TEST_CASE("a report that cannot be written is no success, though the payments were made", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto input =
      write_file(files / "orders.csv", "order_id,amount,currency,source\na,1.00,EUR,tok_visa\n");
  const Strings command = {PAY_ORDERS, "--input", input.string(), "--gateway", gateway.url()};
  const std::string said = "the payments were made, but their report could not be written: ";

  Strings to_file = command;
  to_file.insert(to_file.end(), {"--report", "/dev/full"});
  const Finished without_file = run(to_file);
  CHECK(without_file.status == 4);
  CHECK_THAT(without_file.err, support::contains(said + "/dev/full: No space left on device"));
  CHECK_THAT(without_file.out, support::contains("paid 1.00 (1 order)"));  // the other report is whole

  const std::string format = GENERATE("--json", "--threads=1");  // JSON and the table
  Strings to_output = command;
  to_output.insert(to_output.end(), {"--report", (files / "report").string(), format});
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const int err = ::open((files / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  CHECK(Process(to_output, full, err).wait() == 4);
  ::close(full);
  ::close(err);
  CHECK_THAT(content_of(files / "err"), support::contains(said + "standard output: No space left on device"));
  const auto report = nlohmann::json::parse(content_of(files / "report"));
  CHECK(report.at("lines").at(0).at("status") == "paid");
  CHECK_FALSE(gateway.charges().empty());
}

TEST_CASE("bad usage ends with status 2 and says what is wrong", "[pay_orders]") {
  const TemporaryDirectory files;
  const std::string input = write_file(files / "orders.csv", "order_id,amount,currency,source\n").string();
  const auto usage = [](const Strings& options, const char* said) {
    Strings command = {PAY_ORDERS};
    command.insert(command.end(), options.begin(), options.end());
    const Finished finished = run(command);
    CHECK(finished.status == 2);
    CHECK(finished.out.empty());
    CHECK_THAT(finished.err, support::contains(said));
  };
  usage({}, "--input is required");
  usage({"--input", input}, "--gateway is required");
  usage({"--input", input, "--gateway", "nowhere"}, "a gateway's URL looks like");
  usage({"--input", input, "--gateway", "http://"}, "a gateway's URL looks like");
  usage({"--input", input, "--gateway", "http://127.0.0.1:1/path"}, "a gateway's URL looks like");
  usage({"--input", input, "--gateway", "http://:8000"}, "a gateway's URL looks like");
  for (const char* port : {"", "x", "0", "-1", "+1", "8000x", "65536", "99999999999", "80:80"})
    usage({"--input", input, "--gateway", std::string("http://127.0.0.1:") + port},
          "the port in a gateway's URL is a number from 1 to 65535");
  usage({"--input", input, "--gateway", "http://[::1]:x"}, "from 1 to 65535");
  for (const char* url : {"http://localhost", "http://127.0.0.1:65535", "http://[::1]:8000", "http://[::1]/"})
    CHECK(run({PAY_ORDERS, "--input", input, "--gateway", url}).status == 0);  // there is nothing to pay
  usage({"--input", (files / "absent").string(), "--gateway", "http://127.0.0.1:1"},
        "absent: No such file or directory");
  usage({"--input", "/", "--gateway", "http://127.0.0.1:1"}, "cannot read /: Is a directory");
  usage({"--input", input, "--gateway", "http://127.0.0.1:1", "--threads", "0"}, "--threads");
  usage({"--input", input, "--gateway", "http://127.0.0.1:1", "--threads", "many"}, "--threads");
  usage({"--input", input, "--gateway", "http://127.0.0.1:1", "--report", "/absent/report"},
        "cannot write /absent/report: No such file or directory");
  usage({"--input", input, "--gateway", "http://127.0.0.1:1", "--never-heard-of"}, "--never-heard-of");
  CHECK(run({PAY_ORDERS, "--help"}).status == 0);
}

TEST_CASE("a gateway that is not there leaves every order unexecuted", "[pay_orders]") {
  const TemporaryDirectory files;
  const ClosedPort nobody;
  const Paid paid = pay_orders(write_file(files / "orders.csv", many_orders(5)), nobody.url(),
                               {"--tries", "2", "--threads", "8"});
  CHECK(paid.status == 3);
  CHECK(paid.count("not_executed") == paid.report.at("lines").size());
  CHECK_THAT(paid.line(2).at("reason").get<std::string>(), support::contains("nothing was sent"));
  CHECK(discrepancies(paid.report, {}) == Strings{});
}

TEST_CASE("an order that the gateway will never take is not tried again", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto input =
      write_file(files / "orders.csv",
                 "order_id,amount,currency,source\na,1000000.00,EUR,tok_visa\nb,1.00,EUR,tok_unheard_of\n");
  const Paid paid = pay_orders(input, gateway.url(), {"--tries", "100"});  // minutes, if it did
  CHECK(paid.status == 3);
  CHECK(paid.count("not_executed") == 2);
  CHECK(gateway.charges().empty());
}

TEST_CASE("the JSON report has the shape that its header promises", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto input = write_file(
      files / "orders.csv",
      "order_id,amount,currency,source\na,4.5,EUR,tok_visa\nb,3,JPY,tok_chargeDeclined\nc,x,EUR,t\n");
  const Paid paid = pay_orders(input, gateway.url(), {"--report", (files / "report").string()});
  CHECK(nlohmann::json::parse(content_of(files / "report")) == paid.report);
  CHECK(paid.report.at("exit_status") == 1);
  const auto charge = paid.line(2).at("charge");
  CHECK(paid.line(2) == nlohmann::json({{"line", 2},
                                        {"order_id", "a"},
                                        {"amount", "4.50"},
                                        {"currency", "EUR"},
                                        {"status", "paid"},
                                        {"replayed", false},
                                        {"charge", charge},
                                        {"reason", nullptr}}));
  CHECK(charge.get<std::string>().starts_with("ch_"));
  CHECK(paid.line(3).at("reason") == "generic_decline");
  CHECK(paid.line(4).at("amount").is_null());
  const nlohmann::json none = {{"orders", 0}, {"amount", "0.00"}, {"minor_units", "0"}};
  const nlohmann::json one = {{"orders", 1}, {"amount", "4.50"}, {"minor_units", "450"}};
  CHECK(paid.report.at("totals").at(0) == nlohmann::json({{"currency", "EUR"},
                                                          {"paid", one},
                                                          {"declined", none},
                                                          {"in_doubt", none},
                                                          {"not_executed", none}}));
  CHECK(paid.report.at("totals").at(1).at("declined") ==
        nlohmann::json({{"orders", 1}, {"amount", "3"}, {"minor_units", "3"}}));
}

TEST_CASE("the table shows every line and the totals, and no progress bar in a file", "[pay_orders]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto input = write_file(files / "orders.csv",
                                "order_id,amount,currency,source\na-1,4.50,EUR,tok_visa\na-1,4.50,EUR,tok_"
                                "visa\nb,x,EUR,t\nc\x1b[2J,1,EUR,t\n");
  const Finished finished =
      run({PAY_ORDERS, "--input", input.string(), "--gateway", gateway.url(), "--threads", "1"});
  CHECK(finished.status == 1);
  CHECK(finished.err.empty());
  CHECK_THAT(finished.out, support::contains("    2  a-1    4.50 EUR  paid          no        ch_"));
  CHECK_THAT(finished.out, support::contains("    3  a-1    4.50 EUR  paid          yes       ch_"));
  CHECK_THAT(
      finished.out,
      support::contains("    4  b      -         malformed     no        amount is not a plain number"));
  CHECK_THAT(finished.out,
             support::contains("    5  -      -         malformed     no        order_id holds"));
  CHECK_THAT(finished.out, support::contains("EUR   paid 4.50 (1 order)"));
}

// ---- the checks above can fail ----

TEST_CASE("a second request behind the guard's back is seen as a double charge", "[pay_orders][proof]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {"--dedupe", "off"});
  const Paid paid = pay_orders(write_file(files / "orders.csv", many_orders(3)), gateway.url());
  REQUIRE(discrepancies(paid.report, gateway.charges()) == Strings{});
  const httplib::Params again = {
      {"amount", "199"}, {"currency", "usd"}, {"source", "tok_visa"}, {"metadata[order]", "order-1"}};
  REQUIRE(gateway.provider().post(again, "a key")->status == 200);
  const Strings seen = discrepancies(paid.report, gateway.charges());
  REQUIRE_FALSE(seen.empty());
  CHECK(seen.front() == "order-1 is paid and was charged 2 times");
  CHECK_THAT(seen.back(), support::contains("the totals differ"));
}

TEST_CASE("a provider that forgets what it charged is seen", "[pay_orders][proof]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto input = write_file(files / "orders.csv", many_orders(1, "tok_forget"));
  const Paid paid = pay_orders(input, gateway.url());
  CHECK(paid.status == 0);
  CHECK(discrepancies(paid.report, gateway.charges()).at(0) == "order-1 is paid and was charged 0 times");
}

TEST_CASE("a report that says too much or too little is seen", "[pay_orders][proof]") {
  const TemporaryDirectory files;
  Gateway gateway(GATEWAY, files / "ledger", {});
  const auto input =
      write_file(files / "orders.csv",
                 "order_id,amount,currency,source\na,1.00,EUR,tok_visa\nb,1.00,EUR,tok_chargeDeclined\n");
  const Paid paid = pay_orders(input, gateway.url());
  const auto charges = gateway.charges();
  REQUIRE(discrepancies(paid.report, charges) == Strings{});
  const auto seen = [&](auto change) {
    auto report = paid.report;
    change(report);
    return !discrepancies(report, charges).empty();
  };
  CHECK(seen([](auto& report) { report["lines"][0]["status"] = "declined"; }));
  CHECK(seen([](auto& report) { report["lines"][0]["status"] = "not_executed"; }));
  CHECK(seen([](auto& report) { report["lines"][1]["status"] = "paid"; }));
  CHECK(seen([](auto& report) { report["lines"][0]["order_id"] = "c"; }));
  CHECK(seen([](auto& report) { report["lines"][0]["amount"] = "1.01"; }));
  CHECK(seen([](auto& report) { report["lines"][0]["charge"] = "ch_another"; }));
  CHECK(seen([](auto& report) { report["totals"][0]["paid"]["minor_units"] = "101"; }));
}
