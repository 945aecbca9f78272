#pragma once
// An outbox in the database of a PostgresStore. Leases and pauses run on the server's time.
//
// Two transactions that put to the same key take turns: put() takes an advisory lock on a hash of the key,
// which lasts as long as the transaction, and draws the id afterwards. Without it ids would say nothing of
// the order in which transactions commit: one that drew 7 may commit after one that drew 8, and 8 may have
// been delivered by then. The lock belongs to the transaction, not the session, so it holds behind a pooler
// too. Whoever puts to several keys in one transaction takes them in one order, or may be undone as part of a
// deadlock (40P01).

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>
#include <paidonce/orders/outbox.hpp>
#include <paidonce/orders/postgres_outbox/schema.hpp>
#include <paidonce/orders/postgres_outbox/statements.hpp>
#include <paidonce/stores/postgres.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/parameters.hpp>
#include <paidonce/stores/postgres/row.hpp>
#include <paidonce/stores/postgres/run_in_transaction.hpp>

namespace paidonce::inline v1 {

struct PostgresOutboxOptions {
  /// Delivered messages are kept for so long, for people; then `erase_delivered` takes them. Zero: they are
  /// gone when they are delivered.
  Duration keep_delivered = Duration(0);
  /// Where the tables are, and the name that theirs begin with: lower-case letters, digits and underscores,
  /// not beginning with a digit; the table's at most 40 bytes.
  std::string schema = "paidonce";
  std::string table = "outbox";
  /// How long a statement's answer is waited for where the server's own timeouts do not reach: a network that
  /// went silent. Longer than PostgresStoreOptions::statement_timeout.
  Duration answer_within = Duration(10'000);
};

/// The store is referred to and outlives the outbox; its transactions must be of isolation READ COMMITTED.
/// Payments of another isolation put into the same outbox all the same, by a store of their own. Any number
/// of threads, processes and hosts may use it. Throws what `PostgresStore::transact` throws.
class PostgresOutbox {
 public:
  /// Throws `invalid_options` where the tables are not there or the isolation is another, and
  /// `unsupported_format` where a newer release has made them.
  explicit PostgresOutbox(PostgresStore& store, PostgresOutboxOptions options = {})
      : store_(store), options_(std::move(options)), sql_(options_.schema, options_.table) {
    check(options_);
    const std::int64_t version = look();
    if (version == 0)
      throw Error(errc::invalid_options,
                  "the outbox has no tables: call PostgresOutbox::migrate(store), or run "
                  "docs/stores/postgres_outbox_schema.sql");
  }

  /// Makes the tables where they are not there, and the schema. Any number of hosts may call it at once.
  static void migrate(PostgresStore& store, const PostgresOutboxOptions& options = {}) {
    check(options);
    const detail::PostgresOutboxSql sql(options.schema, options.table);
    const Given none{};
    store.transact([&](PostgresStore::Transaction& transaction) {
      PGconn* const database = transaction.native();
      const auto run = [&](const std::string& text) {
        return detail::run_in_transaction(database, text, none, options.answer_within);
      };
      run(sql.migration_lock);
      if (number(run(sql.has_schema)) == 0) run(sql.create_schema);
      if (version_of(run, sql) == 0)
        for (const std::string_view step : detail::postgres_outbox_schema_1) run(sql.step(step));
    });
  }

  /// `transaction` is a connection within a transaction; or anything of which it is the `native()`, as
  /// `PostgresStore::Transaction` is. Waits for another transaction that has put to the same key, up to the
  /// transaction's lock_timeout.
  std::int64_t put(PGconn* transaction, std::string_view key, std::string_view topic,
                   std::string_view payload) {
    detail::check_message(key, topic, payload);
    Given given;
    given.bytes(key);
    given.bytes(topic);
    given.bytes(payload);
    return number(run(transaction, sql_.put, given));
  }
  template <class Transaction>
  requires requires(Transaction& transaction) {
    { transaction.native() } -> std::convertible_to<PGconn*>;
  }
  std::int64_t put(Transaction& transaction, std::string_view key, std::string_view topic,
                   std::string_view payload) {
    return put(transaction.native(), key, topic, payload);
  }

  std::vector<ClaimedKey> claim(ClaimId claim, const ClaimLimits& limits) {
    std::vector<ClaimedKey> claimed;
    transact([&](PGconn* database) {
      claimed.clear();
      Given given;
      given.integer(static_cast<std::int64_t>(limits.keys));
      given.integer(claim);
      given.integer(std::int64_t{limits.lease.count()});
      const Result keys = run(database, sql_.claim, given);
      for (int row = 0; row < keys.rows(); ++row)
        claimed.push_back(
            {text(keys, row, 0), static_cast<std::uint32_t>(number(keys, row, 1)), number(keys, row, 2)});
      if (!claimed.empty()) add_messages(database, claimed, limits.messages_per_key);
    });
    return claimed;
  }

  std::size_t settle(ClaimId claim, std::span<const SettledKey> settled) {
    std::size_t held = 0;
    if (settled.empty()) return held;
    transact([&](PGconn* database) {
      const Keys all(settled, [](const SettledKey& key) -> std::string_view { return key.key; });
      const std::vector<std::string> quiet = texts(run(database, sql_.quiet, all.given()));
      const std::vector<std::string> mine = release(database, claim, settled, all);
      held = mine.size();
      std::vector<std::string_view> over, looked_again;
      for (const std::string& key : mine)
        (std::find(quiet.begin(), quiet.end(), key) != quiet.end() ? over : looked_again).push_back(key);
      if (!over.empty()) run(database, sql_.erase_empty_keys, Keys(over).given());
      if (!looked_again.empty()) {
        Given given;
        const Keys keys(looked_again);
        given.bytes(keys.bytes());
        given.integer(std::int64_t{settled.front().look_again.count()});
        run(database, sql_.look_again, given);
      }
    });
    return held;
  }

  bool set_aside(std::int64_t id, std::string_view actor, std::string_view why) {
    detail::check_set_aside(actor, why);
    bool done = false;
    transact([&](PGconn* database) {
      done = false;
      Given message, by;
      message.integer(id);
      if (run(database, sql_.lock_key_of, message).rows() == 0) return;
      run(database, sql_.free_key, message);
      by.integer(id);
      by.bytes(actor);
      by.bytes(why);
      done = run(database, sql_.set_aside, by).changed() > 0;
    });
    return done;
  }

  std::vector<StuckMessage> stuck(std::uint32_t failures, std::size_t most) {
    std::vector<StuckMessage> found;
    transact([&](PGconn* database) {
      Given given;
      given.integer(std::int64_t{failures});
      given.integer(static_cast<std::int64_t>(most));
      const Result result = run(database, sql_.stuck, given);
      for (int row = 0; row < result.rows(); ++row)
        found.push_back({number(result, row, 0), text(result, row, 1),
                         static_cast<std::uint32_t>(number(result, row, 2)), text(result, row, 3)});
    });
    return found;
  }

  OutboxBacklog backlog() {
    OutboxBacklog backlog;
    transact([&](PGconn* database) {
      const Result result = run(database, sql_.backlog, Given());
      backlog = {static_cast<std::size_t>(number(result, 0, 0)), Duration(number(result, 0, 1))};
    });
    return backlog;
  }

  std::size_t erase_delivered(std::size_t most) {
    std::size_t erased = 0;
    transact([&](PGconn* database) {
      Given given;
      given.integer(std::int64_t{options_.keep_delivered.count()});
      given.integer(static_cast<std::int64_t>(most));
      erased = run(database, sql_.erase_delivered, given).changed();
    });
    return erased;
  }

 private:
  using Given = detail::PostgresParameters;
  using Result = detail::PostgresResult;

  /// An array of byte strings, as a parameter.
  class Keys {
   public:
    template <class Range, class Project = std::identity>
    explicit Keys(const Range& range, Project project = {}) {
      array_.begin(detail::PostgresType::bytes, range.size());
      for (const auto& one : range) array_.add_bytes(project(one));
      given_.bytes(array_.bytes());
    }
    const Given& given() const noexcept { return given_; }
    std::string_view bytes() const noexcept { return array_.bytes(); }

   private:
    detail::PostgresArray array_;
    Given given_;
  };

  static void check(const PostgresOutboxOptions& options) {
    detail::checked_keeping(options.keep_delivered);
    if (options.answer_within.count() <= 0)
      throw Error(errc::invalid_options, "PostgresOutboxOptions::answer_within must be longer than zero");
    if (!detail::is_plain_identifier(options.schema) || !detail::is_plain_identifier(options.table) ||
        options.table.size() > 40)
      throw Error(
          errc::invalid_options,
          "PostgresOutboxOptions::schema and table must be lower-case letters, digits and underscores, "
          "not begin with a digit nor with pg_, and have at most 63 and 40 bytes");
  }

  template <class Body>
  void transact(Body&& body) {
    store_.transact([&](PostgresStore::Transaction& transaction) { body(transaction.native()); });
  }
  Result run(PGconn* database, const std::string& sql, const Given& given) const {
    return detail::run_in_transaction(database, sql, given, options_.answer_within);
  }
  static std::int64_t number(const Result& result, int row = 0, int column = 0) {
    return detail::integer_of<std::int64_t>(result.get(), row, column);
  }
  static std::string text(const Result& result, int row, int column) {
    return std::string(detail::field_of(result.get(), row, column));
  }
  static std::vector<std::string> texts(const Result& result) {
    std::vector<std::string> all;
    for (int row = 0; row < result.rows(); ++row) all.push_back(text(result, row, 0));
    return all;
  }

  template <class Run>
  static std::int64_t version_of(const Run& run, const detail::PostgresOutboxSql& sql) {
    if (number(run(sql.has_version)) == 0) return 0;
    const std::int64_t there = number(run(sql.version));
    if (there > detail::postgres_outbox_version)
      throw Error(errc::unsupported_format,
                  "the outbox's tables were made by a newer release: use that one, or a newer one");
    return there;
  }

  std::int64_t look() {
    std::int64_t version = 0;
    transact([&](PGconn* database) {
      const auto ask = [&](const std::string& text) { return run(database, text, Given()); };
      if (number(ask(sql_.isolation)) != 1)
        throw Error(
            errc::invalid_options,
            "an outbox needs transactions that are READ COMMITTED: give it a PostgresStore of its own with "
            "Isolation::read_committed");
      version = version_of(ask, sql_);
    });
    return version;
  }

  void add_messages(PGconn* database, std::vector<ClaimedKey>& claimed, std::size_t most) {
    std::map<std::string_view, ClaimedKey*> places;
    for (ClaimedKey& key : claimed) places.emplace(key.key, &key);
    const Keys keys(claimed, [](const ClaimedKey& key) -> std::string_view { return key.key; });
    Given given;
    given.bytes(keys.bytes());
    given.integer(static_cast<std::int64_t>(most));
    const Result result = run(database, sql_.messages, given);
    for (int row = 0; row < result.rows(); ++row) {
      const auto place = places.find(detail::field_of(result.get(), row, 0));
      if (place != places.end())
        place->second->messages.push_back(
            {number(result, row, 1), text(result, row, 0), text(result, row, 2), text(result, row, 3)});
    }
  }

  /// The keys that are still this claim's.
  std::vector<std::string> release(PGconn* database, ClaimId claim, std::span<const SettledKey> settled,
                                   const Keys& keys) {
    using detail::PostgresType;
    std::size_t ids = 0;
    for (const SettledKey& key : settled) ids += key.delivered.size();
    detail::PostgresArray pauses, alerted, failures, said, delivered;
    for (auto* array : {&pauses, &alerted, &failures}) array->begin(PostgresType::int8, settled.size());
    said.begin(PostgresType::bytes, settled.size());
    delivered.begin(PostgresType::int8, ids);
    for (const SettledKey& key : settled) {
      pauses.add(std::int64_t{key.pause.count()});
      alerted.add(key.alerted);
      constexpr std::int64_t as_before = -1, none = 0;
      failures.add(key.failure             ? std::int64_t{key.failure->in_row}
                   : key.delivered.empty() ? as_before
                                           : none);
      said.add_bytes(key.failure ? std::string_view(key.failure->text) : std::string_view());
      for (const std::int64_t id : key.delivered) delivered.add(id);
    }
    Given given;
    given.integer(claim);
    for (const std::string_view array :
         {keys.bytes(), pauses.bytes(), alerted.bytes(), failures.bytes(), said.bytes(), delivered.bytes()})
      given.bytes(array);
    return texts(run(
        database, options_.keep_delivered.count() > 0 ? sql_.settle_and_mark : sql_.settle_and_erase, given));
  }

  PostgresStore& store_;
  const PostgresOutboxOptions options_;
  const detail::PostgresOutboxSql sql_;
};

static_assert(OutboxFor<PostgresOutbox, PostgresStore::Transaction>);

}  // namespace paidonce::inline v1
