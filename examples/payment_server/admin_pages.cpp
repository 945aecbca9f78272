#include "admin_pages.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <paidonce/http/stored_response.hpp>
#include <paidonce/key_digest.hpp>
#include <paidonce/provider_key.hpp>

#include "admin_access.hpp"
#include "common/escaped.hpp"
#include "common/time_text.hpp"

namespace payment_server {
namespace {

using common::text_of;
using paidonce::Duration;
using paidonce::Record;
using paidonce::State;

/// Bytes as plain text, not more than so many of them.
std::string shown(std::string_view bytes, std::size_t most) {
  if (bytes.empty()) return "–";
  if (bytes.size() <= most) return common::escaped(bytes);
  return common::escaped(bytes.substr(0, most)) + " … and " + std::to_string(bytes.size() - most) +
         " bytes more";
}

/// Line by line: a history has a line for each thing that happened.
std::string shown_lines(std::string_view bytes, std::size_t most) {
  std::string text;
  while (!bytes.empty() && most > 0) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    text += (text.empty() ? "" : "\n") + shown(bytes.substr(0, end), most);
    most -= std::min(most, end + 1);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  if (!bytes.empty()) text += "\n… and " + std::to_string(bytes.size()) + " bytes more";
  return text.empty() ? "–" : text;
}

std::string last_line(std::string_view text) {
  const std::size_t at = text.rfind('\n');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

std::string age(Duration length) {
  const long long seconds = length.count() < 0 ? 0 : length.count() / 1000;
  const long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (days > 0) return std::to_string(days) + " d " + std::to_string(hours % 24) + " h";
  if (hours > 0) return std::to_string(hours) + " h " + std::to_string(minutes % 60) + " min";
  if (minutes > 0) return std::to_string(minutes) + " min " + std::to_string(seconds % 60) + " s";
  return std::to_string(seconds) + " s";
}

std::string_view words_for(State state) {
  switch (state) {
    case State::in_progress: return "In progress";
    case State::in_doubt: return "In doubt";
    case State::succeeded: return "Paid";
    case State::declined: return "Declined";
    case State::released: break;
  }
  return "Nothing happened";
}

std::string_view sentence_for(State state) {
  switch (state) {
    case State::in_progress: return "It was begun, and has not ended.";
    case State::in_doubt:
      return "Nobody knows whether the money moved. The customer is told that it is being verified, and is "
             "not "
             "charged again under this key.";
    case State::succeeded:
      return "It is settled: taken on by the gateway. The customer gets the response below.";
    case State::declined: return "It is settled: declined. The customer gets the response below.";
    case State::released: break;
  }
  return "It is settled: nothing happened. The key is free, and the next request with it charges.";
}

std::string_view sentence_for(Holder holder) {
  switch (holder) {
    case Holder::none: break;
    case Holder::gone:
      return "Its process is dead, which is proven; a request that it sent may still be under way.";
    case Holder::not_heard:
      return "Its lease is over: its process is gone, has stalled, or is cut off, and may yet be alive.";
    case Holder::alive: return "A process works on it at this moment.";
  }
  return {};
}

/// As in 12.40 EUR, 5.00 USD.
std::string amounts_of(const paidonce::StateSurvey& state) {
  std::string text;
  for (const paidonce::CurrencyTotal& total : state.totals)
    text += (text.empty() ? "" : ", ") + (total.amount.empty() ? "too much" : total.amount) + ' ' +
            common::escaped(total.currency);
  if (const std::size_t others = state.without_amount + state.unreadable; others > 0)
    text += (text.empty() ? "" : ", ") + std::to_string(others) + " without an amount";
  return text.empty() ? "–" : text;
}

std::string response_text(const Record& record) {
  if (record.response.empty()) return "–";
  try {
    const auto response = paidonce::Codec<paidonce::http::Response>::decode(record.response);
    return "HTTP " + std::to_string(response.status) + "\n" + shown_lines(response.body, 8000);
  } catch (const paidonce::Error&) {
    return shown(record.response, 2000);
  }
}

std::string_view consequence_of(Says says) {
  switch (says) {
    case Says::paid:
      return "Every request with this key is answered as paid from now on. What was bought is handed out.";
    case Says::declined:
      return "Every request with this key is answered as declined from now on. If the money moved all the "
             "same, "
             "the customer has paid for nothing.";
    case Says::nothing_happened: break;
  }
  return "Nothing happened frees the key: the customer can be charged again. If the money moved all the "
         "same, or "
         "a request is still under way to the gateway, the customer is charged TWICE.";
}

std::string_view verdict_text(Says says) {
  return says == Says::paid ? "It was paid" : says == Says::declined ? "It was declined" : "Nothing happened";
}

std::string_view checked(bool is) { return is ? "checked" : ""; }

Html actions(const PaymentView& view, const PaymentForms& forms) {
  if (view.record.state != State::in_progress && view.record.state != State::in_doubt) return {};
  if (view.holder == Holder::alive)
    return admin_notice("Nothing can be done here while a process works on it. Look again later.",
                        Tone::says);
  const Verdict& said = forms.filled_in;
  const bool chosen = !said.reason.empty();
  const Html declaration =
      view.record.state == State::in_progress ? fill("admindeclaration.html", {}) : Html{};
  return fill("adminactions.html",
              {{"id", hex_of_key(view.key)},
               {"ask_token", forms.ask_token},
               {"confirm_token", forms.confirm_token},
               {"seen", forms.seen},
               {"paid", checked(chosen && said.says == Says::paid)},
               {"declined", checked(chosen && said.says == Says::declined)},
               {"nothing", checked(chosen && said.says == Says::nothing_happened)},
               {"payment_id", said.payment_id},
               {"by_hand", checked(said.proof == Proof::by_hand)},
               {"reason", said.reason}},
              {{"declaration", declaration}});
}

Html row(const StuckPayment& payment, paidonce::Timestamp now) {
  const Record& record = payment.record;
  return fill("adminrow.html", {{"id", hex_of_key(payment.key)},
                                {"key", shown(payment.key.text(), 80)},
                                {"scope", shown(payment.key.scope(), 24)},
                                {"digest", paidonce::key_digest(payment.key)},
                                {"amount", shown(record.amount, 40)},
                                {"changed", text_of(record.updated_at)},
                                {"age", age(now - record.updated_at)},
                                {"state", words_for(record.state)},
                                {"holder", sentence_for(payment.holder)},
                                {"attempts", std::to_string(record.attempts)},
                                {"description", shown(record.description, 200)},
                                {"note", shown(last_line(record.note), 300)}});
}

}  // namespace

std::string admin_page(std::string_view title, std::string_view user, const Html& content) {
  return fill("admin.html",
              {{"title", title},
               {"user", common::escaped(user)},
               {"style", style_href()},
               {"admin_style", address_of("admin.css")}},
              {{"content", content}})
      .text;
}

Html admin_notice(std::string_view text, Tone tone) {
  return fill("adminnotice.html", {{"role", tone == Tone::says ? "status" : "alert"}, {"text", text}});
}

Html admin_dead_end(std::string_view text, std::string_view href, std::string_view link) {
  const Html notice = admin_notice(text, Tone::warns);
  return fill("adminback.html", {{"href", href}, {"link", link}}, {{"notice", notice}});
}

Html admin_list(const StuckList& list) {
  const paidonce::Survey& survey = list.survey;
  const auto &doubt = survey.of(State::in_doubt), &progress = survey.of(State::in_progress);
  Html rows, notice, more;
  for (const StuckPayment& payment : list.shown) rows.text += row(payment, survey.taken_at).text;
  const std::string least = survey.finished ? "" : "at least ";
  if (!survey.finished)
    notice = admin_notice(
        "There is more unfinished than could be looked at in the time of a page: what follows is of a part "
        "of "
        "it, and older ones may be missing. The program paidonce_admin looks at all of it.",
        Tone::warns);
  if (list.next) more = fill("adminmore.html", {{"after", list.next->text()}});
  const std::string caption =
      list.stuck == 0 ? (survey.finished ? "Nothing is stuck" : "None of these is stuck")
                      : least + std::to_string(list.stuck) + " stuck; " + std::to_string(list.shown.size()) +
                            " shown, unchanged for longest first";
  const auto since = [&](const std::optional<paidonce::Timestamp>& time) {
    return time ? age(survey.age(time)) : std::string("–");
  };
  return fill("adminlist.html",
              {{"now", text_of(survey.taken_at)},
               {"doubt_count", least + std::to_string(doubt.records)},
               {"doubt_amounts", amounts_of(doubt)},
               {"doubt_oldest", since(survey.oldest_in_doubt)},
               {"progress_count", least + std::to_string(progress.records)},
               {"abandoned", std::to_string(survey.abandoned)},
               {"progress_amounts", amounts_of(progress)},
               {"progress_oldest", progress.records > 0 ? since(survey.earliest_begun) : std::string("–")},
               {"caption", caption}},
              {{"notice", notice}, {"rows", rows}, {"more", more}});
}

Html admin_payment(const PaymentView& view, const PaymentForms& forms, const Html& notice) {
  const Record& record = view.record;
  const Html can_do = actions(view, forms);
  const std::string dash = "–";
  const auto time = [&](paidonce::Timestamp at) { return at == paidonce::Timestamp{} ? dash : text_of(at); };
  return fill("adminpayment.html",
              {{"state_text", sentence_for(record.state)},
               {"holder", sentence_for(view.holder)},
               {"amount", shown(record.amount, 100)},
               {"description", shown(record.description, 4000)},
               {"state", words_for(record.state)},
               {"note", shown_lines(record.note, 16000)},
               {"key", common::escaped(view.key.text())},
               {"scope", shown(view.key.scope(), 255)},
               {"digest", paidonce::key_digest(view.key)},
               {"provider_key", paidonce::provider_key(view.key, record.created_at)},
               {"attempts", std::to_string(record.attempts)},
               {"created", time(record.created_at) + ", " + age(view.now - record.created_at) + " ago"},
               {"changed", time(record.updated_at) + ", " + age(view.now - record.updated_at) + " ago"},
               {"lease", time(record.lease_until)},
               {"expires", time(record.expires_at)},
               {"version", std::to_string(record.version)},
               {"attempt", common::hex_of(record.attempt_id)},
               {"fingerprint", record.fingerprint.hex()},
               {"checkpoint", shown(record.checkpoint, 2000)},
               {"response", response_text(record)}},
              {{"notice", notice}, {"actions", can_do}});
}

Html admin_confirmation(const PaymentView& view, const Agreement& agreement) {
  const Verdict& verdict = agreement.verdict;
  std::string state(words_for(view.record.state));
  if (view.holder != Holder::none) state += ". You declare that nobody works on it any more.";
  std::string response = "Nothing is recorded: the next request with this key pays.";
  if (const auto& answer = agreement.resolution.response)
    response = "HTTP " + std::to_string(answer->status) + "\n" + shown_lines(answer->body, 8000);
  const std::string_view consequence = consequence_of(verdict.says), said = verdict_text(verdict.says);
  return fill("adminconfirm.html", {{"consequence", consequence},
                                    {"key", common::escaped(view.key.text())},
                                    {"amount", shown(view.record.amount, 100)},
                                    {"description", shown(view.record.description, 4000)},
                                    {"state", state},
                                    {"verdict", said},
                                    {"reason", verdict.reason},
                                    {"user", common::escaped(agreement.user)},
                                    {"response", response},
                                    {"id", hex_of_key(view.key)},
                                    {"token", agreement.token},
                                    {"seen", agreement.seen},
                                    {"says", to_string(verdict.says)},
                                    {"payment_id", verdict.payment_id},
                                    {"proof", verdict.proof == Proof::by_hand ? "by_hand" : ""},
                                    {"holder", agreement.holder},
                                    {"answer", agreement.answer},
                                    {"button", "Yes: " + std::string(said) + ". Record it"}});
}

}  // namespace payment_server
