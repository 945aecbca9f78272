#pragma once
// The steps that a world can take, and taking one. A client's step answers the question that its
// `flow::Payment` asks, as a guard's loop does; a heartbeat follows its `flow::Write`, as an attempt does.
// Everything else that may happen - crash, clock, network, provider, sweep, commit - is a step too.

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "store.hpp"

namespace model {

enum class Step : std::uint8_t {
  asks_store,    ///< a find, insert or replace reaches the store
  store_throws,  ///< the same, and the client is told that it failed
  reads_reply,
  takes_lock,
  gives_up_lock,
  admits,
  refuses,
  looks_again,
  stops_waiting,
  sends,
  reports_reply,
  reports_timeout,
  reports_not_executed,
  beats,
  saves_checkpoint,
  beat_asks_store,
  beat_throws,
  asks_provider,
  provider_unsure,
  crashes,
  clock_moves,
  delayed_write_lands,
  provider_charges,
  provider_declines,
  sweep_looks,
  sweep_erases,
  store_commits,
  commit_fails_and_is_lost,
  commit_fails_and_was_kept,
  store_crashes,
  store_reopens,
  lock_is_lost,
};

struct Move {
  Step step;
  std::uint8_t which = 0;  ///< client, or delayed write, or request
};

class Driver {
 public:
  explicit Driver(const Scenario& scenario) : scenario_(scenario) {}

  World start() const {
    World world;
    world.budget = scenario_.budget();
    world.clients.resize(scenario_.clients.size());
    for (std::size_t i = 0; i < world.clients.size(); ++i) begin_call(world, i);
    return world;
  }

  /// Starts the client's next call, if it has one left.
  void begin_call(World& world, std::size_t who) const {
    Client& client = world.clients[who];
    const std::size_t call = client.call;
    const std::uint32_t crashed = client.crashed_calls;
    client = Client{};
    client.call = call;
    client.crashed_calls = crashed;
    if (call >= calls(who).size()) return;
    const Call& plan = calls(who)[call];
    client.writer = {static_cast<int>(who), 1000 * (who + 1) + 100 * call, plan.purpose, false};
    flow::Terms terms;
    terms.purpose = plan.purpose;
    terms.fingerprint = &fingerprint_of(plan.request);
    terms.lease = lease;
    terms.retention = retention;
    terms.wait = scenario_.wait;
    terms.doubt_rule = {scenario_.means, provider_remembers};
    terms.first_look = scenario_.first_look;
    terms.admission = scenario_.admission;
    terms.attempt_id = client.writer.attempts;
    client.payment.emplace(terms);
  }

  const std::vector<Call>& calls(std::size_t who) const {
    if (who < scenario_.clients.size()) return scenario_.clients[who];
    static const std::vector<Call> probes[] = {
        {Call{}}, {Call{flow::Purpose::pay, 1}}, {Call{flow::Purpose::reconcile}}};
    return probes[(who - scenario_.clients.size()) % 3];
  }

  void moves(const World& world, std::vector<Move>& out) const {
    out.clear();
    for (std::size_t who = 0; who < world.clients.size(); ++who)
      if (world.clients[who].payment) client_moves(world, who, out);
    world_moves(world, out);
  }

  void client_moves(const World& world, std::size_t who, std::vector<Move>& out) const {
    const Client& client = world.clients[who];
    const auto add = [&](Step step) { out.push_back({step, static_cast<std::uint8_t>(who)}); };
    if (client.beat.phase != Beat::Phase::idle) beat_moves(world, client, add);
    if (client.reply) {
      if (!store::reply_waits(world, *client.reply)) add(Step::reads_reply);
    } else {
      switch (client.payment->ask()) {
        case flow::Ask::find:
        case flow::Ask::insert:
        case flow::Ask::replace: {
          const bool reads = client.payment->ask() == flow::Ask::find;
          if (store::refuses(world)) {
            add(Step::store_throws);
            break;
          }
          if (!(reads ? store::read_waits(world) : store::write_waits(world))) add(Step::asks_store);
          if (left(world, Fault::throws)) add(Step::store_throws);
          break;
        }
        case flow::Ask::lock: {
          const bool held = scenario_.lock != LockKind::none && world.lock_owner >= 0;
          add(held ? Step::gives_up_lock : Step::takes_lock);
          break;
        }
        case flow::Ask::admit:
          add(Step::admits);
          if (left(world, Fault::refuse)) add(Step::refuses);
          break;
        case flow::Ask::wait:
          if (left(world, Fault::poll)) add(Step::looks_again);
          add(Step::stops_waiting);
          break;
        case flow::Ask::pay: pay_moves(world, client, add); break;
        case flow::Ask::reconcile:
          add(Step::asks_provider);
          if (left(world, Fault::unsure)) add(Step::provider_unsure);
          break;
        case flow::Ask::done: break;
      }
    }
    if (left(world, Fault::crash)) add(Step::crashes);
  }

  /// Takes one step; throws `Violation`.
  void take(World& world, Move move) const {
    try {
      perform(world, move);
    } catch (const Violation&) {
      throw;
    } catch (const std::exception& refused) {
      throw Violation(5, std::string("the protocol refused its own move: ") + refused.what());
    }
  }

 private:
  static bool left(const World& world, Fault fault) {
    return world.budget[static_cast<std::size_t>(fault)] > 0;
  }
  static void spend(World& world, Fault fault) { --world.budget[static_cast<std::size_t>(fault)]; }

  template <class Add>
  void beat_moves(const World& world, const Client& client, const Add& add) const {
    (void)client;
    add(Step::beat_asks_store);
    if (left(world, Fault::throws)) add(Step::beat_throws);
  }

  template <class Add>
  void pay_moves(const World& world, const Client& client, const Add& add) const {
    const bool idle = client.beat.phase == Beat::Phase::idle;
    if (idle && !client.beat.lost && left(world, Fault::beat)) add(Step::beats);
    if (idle && !client.beat.lost && !client.sent && left(world, Fault::checkpoint))
      add(Step::saves_checkpoint);
    if (!client.sent) add(Step::sends);
    if (!idle) return;  // the report waits for the heartbeat
    if (!client.sent && left(world, Fault::not_executed)) add(Step::reports_not_executed);
    const Request* request = request_of(world, client);
    if (request && request->fate != Request::Fate::under_way) add(Step::reports_reply);
    if (request && left(world, Fault::timeout)) add(Step::reports_timeout);
  }

  static const Request* request_of(const World& world, const Client& client) {
    for (const Request& request : world.requests)
      if (request.client == client.writer.client) return &request;
    return nullptr;
  }

  void world_moves(const World& world, std::vector<Move>& out) const {
    const auto add = [&](Step step, std::size_t which = 0) {
      out.push_back({step, static_cast<std::uint8_t>(which)});
    };
    if (left(world, Fault::tick) && next_boundary(world) > world.now) add(Step::clock_moves);
    if (!world.store.poisoned && !world.store.dirty)
      for (std::size_t i = 0; i < world.network.size(); ++i) add(Step::delayed_write_lands, i);
    for (std::size_t i = 0; i < world.requests.size(); ++i) {
      if (world.requests[i].fate != Request::Fate::under_way) continue;
      add(Step::provider_charges, i);
      if (left(world, Fault::decline)) add(Step::provider_declines, i);
    }
    if (left(world, Fault::sweep) && !world.store.sweeping && store::may_sweep(world)) add(Step::sweep_looks);
    if (world.store.sweeping && nobody_is_about_to_insert(world)) add(Step::sweep_erases);
    if (world.store.dirty) {
      add(Step::store_commits);
      if (left(world, Fault::commit_fails)) {
        add(Step::commit_fails_and_is_lost);
        add(Step::commit_fails_and_was_kept);
      }
      if (left(world, Fault::store_crash)) add(Step::store_crashes);
    }
    if (world.store.poisoned) add(Step::store_reopens);
    if (scenario_.lock == LockKind::may_be_lost && world.lock_owner >= 0 && left(world, Fault::lock_lost))
      add(Step::lock_is_lost);
  }

  /// Whoever has read the clock for a first begin stores it within a retention. (After a longer sleep its
  /// version would be below that of a record swept meanwhile; harmless, since every later one is above, but
  /// not what is checked.)
  static bool nobody_is_about_to_insert(const World& world) {
    for (const Client& client : world.clients)
      if (client.payment && client.payment->expected() == 0 && !client.payment->began() &&
          client.payment->record().attempt_id - client.writer.attempts < 50)
        return false;
    return true;
  }

  /// The next moment at which something ends.
  Timestamp next_boundary(const World& world) const {
    Timestamp next = Timestamp::min();
    const auto consider = [&](Timestamp end) {
      if (end > world.now && (next <= world.now || end < next)) next = end;
    };
    if (const std::optional<Record>& record = world.store.durable) {
      if (record->state == State::in_progress) consider(record->lease_until);
      if (record->state != State::in_progress && record->state != State::in_doubt)
        consider(record->expires_at);
      if (scenario_.deduplicates()) {
        consider(record->created_at + provider_remembers);
        consider(record->created_at + provider_remembers + lease);
      }
    }
    return next;
  }

  void perform(World& world, Move move) const {
    switch (move.step) {
      case Step::clock_moves:
        spend(world, Fault::tick);
        world.now = next_boundary(world);
        return;
      case Step::delayed_write_lands: return store::land(scenario_, world, move.which);
      case Step::provider_charges:
      case Step::provider_declines: {
        const bool accept = move.step == Step::provider_charges;
        if (!accept) spend(world, Fault::decline);
        provider::process(scenario_, world, move.which, accept);
        return forget_requests(world);
      }
      case Step::sweep_looks:
        spend(world, Fault::sweep);
        world.store.sweeping = true;
        return;
      case Step::sweep_erases: return store::sweep(world);
      case Step::store_commits: return store::commit(scenario_, world);
      case Step::commit_fails_and_was_kept:
        store::make_durable(scenario_, world, *world.store.staged, world.store.dirty_writer);
        [[fallthrough]];
      case Step::commit_fails_and_is_lost:
        spend(world, Fault::commit_fails);
        return fail_waiting(world, [](World& w) { store::fail_commit(w); });
      case Step::store_crashes:
        spend(world, Fault::store_crash);
        return fail_waiting(world, [](World& w) { store::reopen(w); });
      case Step::store_reopens: return store::reopen(world);
      case Step::lock_is_lost:
        spend(world, Fault::lock_lost);
        world.lock_owner = -1;
        return;
      default: return client_step(world, move.which, move.step);
    }
  }

  void client_step(World& world, std::size_t who, Step step) const {
    Client& client = world.clients[who];
    flow::Payment& payment = *client.payment;
    switch (step) {
      case Step::asks_store: ask_store(world, client); break;
      case Step::store_throws: throw_store(world, client); break;
      case Step::reads_reply:
        deliver(world, client, std::exchange(client.reply, std::nullopt).value());
        break;
      case Step::takes_lock:
        invariant::waits_for_lock(client);
        client.looked = false;
        if (scenario_.lock != LockKind::none) world.lock_owner = static_cast<int>(who);
        tell(world, client, 1);
        payment.locked(flow::Obtained::yes, world.now);
        break;
      case Step::gives_up_lock:
        invariant::waits_for_lock(client);
        client.looked = false;
        client.no_time_left = true;
        tell(world, client, 2);
        payment.locked(flow::Obtained::no, world.now);
        break;
      case Step::admits:
      case Step::refuses:
        invariant::refusal_is_asked(scenario_, client);
        tell(world, client, step == Step::refuses);
        if (step == Step::refuses) {
          spend(world, Fault::refuse);
          payment.admitted("no", world.now);
        } else {
          payment.admitted(std::nullopt, world.now);
        }
        break;
      case Step::looks_again:
      case Step::stops_waiting:
        invariant::waits(scenario_, client);
        tell(world, client, step == Step::looks_again);
        if (step == Step::looks_again) spend(world, Fault::poll);
        client.no_time_left = step == Step::stops_waiting;
        payment.waited(client.no_time_left ? flow::TimeLeft::no : flow::TimeLeft::yes);
        break;
      case Step::sends: {
        const Record& running = payment.record();
        const Timestamp deadline = scenario_.deduplicates() ? client.deadline : Timestamp::max();
        world.requests.push_back({running.created_at, provider_key(running), client.writer.client, deadline});
        client.sent = true;
        break;
      }
      case Step::reports_reply: report_reply(world, client); break;
      case Step::reports_timeout:
        spend(world, Fault::timeout);
        report(world, client, Report::in_doubt);
        break;
      case Step::reports_not_executed:
        spend(world, Fault::not_executed);
        report(world, client, Report::not_executed);
        break;
      case Step::beats:
      case Step::saves_checkpoint: start_beat(world, client, step == Step::saves_checkpoint); break;
      case Step::beat_asks_store: ask_store_for_beat(world, client); break;
      case Step::beat_throws: throw_store_at_beat(world, client); break;
      case Step::asks_provider: {
        Report answer = provider::truth(world, payment.record().created_at);
        const bool hasty = scenario_.hasty_person && client.writer.purpose == flow::Purpose::resolve;
        if (hasty && answer == Report::in_doubt) {
          answer = Report::not_executed;
          find_payment(world.payments, payment.record().created_at)->proof_is_wrong = true;
        }
        answer_reconcile(world, client, answer);
        break;
      }
      case Step::provider_unsure:
        spend(world, Fault::unsure);
        answer_reconcile(world, client, Report::in_doubt);
        break;
      case Step::crashes: return crash(world, who);
      default: break;
    }
    if (payment.ask() == flow::Ask::pay && !client.started) start_callable(world, client);
    if (payment.ask() == flow::Ask::done) end_call(world, who);
  }

  static void start_callable(const World& world, Client& client) {
    invariant::pay_starts(world, client);
    client.started = true;
    client.own_version = client.payment->record().version;
    client.deadline = client.payment->record().lease_until;
  }

  /// Notes what the payment is told, so that equal histories mean equal payments.
  template <class... Facts>
  static void tell(const World& world, Client& client, const Facts&... facts) {
    Hash hash;
    hash(client.history)(world.now);
    (hash(facts), ...);
    client.history = hash.value();
  }

  void ask_store(World& world, Client& client) const {
    invariant::store_answers(world);
    flow::Payment& payment = *client.payment;
    const Record& mine = payment.record();
    Reply reply;
    if (payment.ask() == flow::Ask::find) {
      reply.kind = Reply::Kind::found;
      reply.record = store::find(world);
    } else if (payment.ask() == flow::Ask::insert) {
      reply.kind = Reply::Kind::inserted;
      reply.record = store::insert(scenario_, world, mine, writer_of(client));
    } else {
      check_completing(client);
      reply.kind = Reply::Kind::replaced;
      reply.stored = store::replace(scenario_, world, payment.expected(), mine, writer_of(client));
    }
    if (store::holder_gone(scenario_, world, reply.record)) reply.holder = protocol::Holder::gone;
    if (scenario_.late_clock || scenario_.group_commit)
      client.reply = std::move(reply);
    else
      deliver(world, client, std::move(reply));
  }

  /// A begin counts as the attempt's own write too: it is known by its id.
  static Writer writer_of(const Client& client) {
    Writer writer = client.writer;
    writer.after_begin = client.reported;
    return writer;
  }

  static void check_completing(const Client& client) {
    if (!client.reported) return;
    invariant::completing(client);
    if (client.own_version != 0) invariant::completing_first(client);
  }

  void deliver(World& world, Client& client, Reply&& reply) const {
    flow::Payment& payment = *client.payment;
    tell(world, client, reply);
    if (reply.kind != Reply::Kind::replaced) {
      client.seen = reply.record;
      client.seen_at = world.now;
      client.looked = true;
    }
    client.own_version =
        client.reported ? 0 : client.own_version;  // only the first completing write is over it
    // Like a guard, which does not read the clock where the flow does not mind.
    const Timestamp now = reply.record || payment.minds_time() ? world.now : Timestamp{};
    switch (reply.kind) {
      case Reply::Kind::found: payment.found(std::move(reply.record), now, reply.holder); break;
      case Reply::Kind::inserted: payment.inserted(std::move(reply.record), now, reply.holder); break;
      case Reply::Kind::replaced: payment.replaced(reply.stored, now); break;
    }
  }

  /// The client is told that its operation failed; a write is left in the network.
  void throw_store(World& world, Client& client) const {
    flow::Payment& payment = *client.payment;
    if (!store::refuses(world)) {
      spend(world, Fault::throws);
      if (payment.ask() != flow::Ask::find) {
        check_completing(client);
        world.network.push_back(
            {payment.ask() == flow::Ask::insert, payment.expected(), payment.record(), writer_of(client)});
      }
    }
    fail(world, client);
  }

  void fail(World& world, Client& client) const {
    static const std::exception_ptr failure = std::make_exception_ptr(Error(errc::store_unavailable));
    tell(world, client, 3);
    client.own_version = client.reported ? 0 : client.own_version;
    client.payment->failed(failure, world.now);
  }

  /// A commit did not happen: whoever waits for it is told that its write failed.
  template <class Break>
  void fail_waiting(World& world, const Break& break_store) const {
    break_store(world);
    for (std::size_t who = 0; who < world.clients.size(); ++who) {
      Client& client = world.clients[who];
      if (!client.payment || !client.reply || !wrote(*client.reply)) continue;
      if (client.writer.attempts != world.store.dirty_writer.attempts) continue;
      client.reply.reset();
      fail(world, client);
      if (client.payment->ask() == flow::Ask::done) end_call(world, who);
    }
  }
  static bool wrote(const Reply& reply) {
    return reply.kind == Reply::Kind::inserted ? !reply.record
                                               : reply.kind == Reply::Kind::replaced && reply.stored;
  }

  void report_reply(World& world, Client& client) const {
    switch (request_of(world, client)->fate) {
      case Request::Fate::charged: return report(world, client, Report::succeeded);
      case Request::Fate::declined: return report(world, client, Report::declined);
      case Request::Fate::too_late: return report(world, client, Report::not_executed);
      case Request::Fate::under_way: break;
    }
  }

  void report(World& world, Client& client, Report what) const {
    flow::Payment& payment = *client.payment;
    flow::Said said;
    said.report = what;
    said.reason = "reason";
    if (what == Report::succeeded || what == Report::declined) {
      said.state_of_response = what == Report::succeeded ? State::succeeded : State::declined;
      said.response = "response of attempt " + std::to_string(payment.record().attempts);
      said.response_format = "text";
    }
    tell(world, client, what);
    client.reported = true;
    client.report = what;
    abandon_request(world, client);
    payment.paid(std::move(said), world.now);
  }

  void answer_reconcile(World& world, Client& client, Report answer) const {
    flow::Said said;
    said.report = answer;
    said.reason = "reason";
    if (answer == Report::succeeded || answer == Report::declined) {
      said.state_of_response = answer == Report::succeeded ? State::succeeded : State::declined;
      said.response = "settled";
      said.response_format = "text";
    }
    tell(world, client, answer);
    client.payment->reconciled(std::move(said), world.now);
  }

  /// Like `provider_key()`, a function of key and `created_at`.
  static std::uint64_t provider_key(const Record& record) {
    return static_cast<std::uint64_t>(record.created_at.time_since_epoch().count());
  }

  /// Nobody reads this client's reply any more; what is answered already is of no interest then.
  static void abandon_request(World& world, const Client& client) {
    for (Request& request : world.requests)
      if (request.client == client.writer.client) request.client = -1;
    forget_requests(world);
  }
  static void forget_requests(World& world) {
    std::erase_if(world.requests, [](const Request& request) {
      return request.client < 0 && request.fate != Request::Fate::under_way;
    });
  }

  // ---- the running attempt's own writes, as `Attempt` does them ----

  void start_beat(World& world, Client& client, bool checkpoint) const {
    spend(world, checkpoint ? Fault::checkpoint : Fault::beat);
    Beat& beat = client.beat;
    beat.checkpoint = checkpoint;
    beat.again = 0;
    if (beat.uncertain)
      beat.phase = Beat::Phase::adopting;
    else
      write_beat(world, client);
  }

  void write_beat(World& world, Client& client) const {
    Beat& beat = client.beat;
    beat.next = client.payment->running();
    if (beat.checkpoint)
      protocol::save_checkpoint(beat.next, world.now, "step 1");
    else
      protocol::extend(beat.next, world.now, lease);
    beat.write.start_replace(client.payment->running().version);
    beat.phase = Beat::Phase::writing;
    beat.history = 0;
  }

  static void adopt_running(const World& world, Client& client, const Record& record) {
    client.payment->running() = record;
    client.own_version = record.version;
    tell(world, client, record);
  }

  void adopt(World& world, Client& client, std::optional<Record>&& there, bool again) const {
    Beat& beat = client.beat;
    const bool mine = there && there->state == State::in_progress &&
                      protocol::same_attempt(*there, client.payment->running());
    if (!mine || (again && ++beat.again >= 3)) {
      beat.lost = true;
      beat.phase = Beat::Phase::idle;
      return;
    }
    adopt_running(world, client, *there);
    beat.uncertain = false;
    write_beat(world, client);
  }

  void ask_store_for_beat(World& world, Client& client) const {
    Beat& beat = client.beat;
    if (beat.phase == Beat::Phase::adopting) return adopt(world, client, store::find(world), false);
    beat.history = Hash()(beat.history)(world.store.staged).value();
    Writer writer = client.writer;
    writer.after_begin = true;
    if (beat.write.need() == flow::Write::Need::replace)
      beat.write.replaced(store::replace(scenario_, world, beat.write.expected(), beat.next, writer));
    else
      beat.write.read_back(store::find(world), beat.next);
    settle_beat(world, client);
  }

  void throw_store_at_beat(World& world, Client& client) const {
    static const std::exception_ptr failure = std::make_exception_ptr(Error(errc::store_unavailable));
    spend(world, Fault::throws);
    Beat& beat = client.beat;
    if (beat.phase == Beat::Phase::adopting) {
      beat.phase = Beat::Phase::idle;
      return;
    }
    Writer writer = client.writer;
    writer.after_begin = true;
    if (beat.write.need() == flow::Write::Need::replace)
      world.network.push_back({false, beat.write.expected(), beat.next, writer});
    beat.history = Hash()(beat.history)(1).value();
    beat.write.failed(failure);
    settle_beat(world, client);
  }

  void settle_beat(World& world, Client& client) const {
    Beat& beat = client.beat;
    switch (beat.write.fate()) {
      case flow::Write::Fate::open: return;
      case flow::Write::Fate::stored:
        adopt_running(world, client, beat.next);
        beat.phase = Beat::Phase::idle;
        return;
      case flow::Write::Fate::unknown:
        beat.uncertain = true;
        beat.phase = Beat::Phase::idle;
        return;
      case flow::Write::Fate::conflict: return adopt(world, client, std::move(beat.write.there()), true);
    }
  }

  // ---- ends ----

  void crash(World& world, std::size_t who) const {
    spend(world, Fault::crash);
    Client& client = world.clients[who];
    client.crashed_calls |= 1u << client.call;
    abandon_request(world, client);
    if (scenario_.lock == LockKind::keyed && world.lock_owner == static_cast<int>(who)) world.lock_owner = -1;
    next_call(world, who);
  }

  void end_call(World& world, std::size_t who) const {
    Client& client = world.clients[who];
    if (client.payment->error())
      invariant::fails(client);
    else
      invariant::answers(world, calls(who)[client.call], client);
    if (world.lock_owner == static_cast<int>(who)) world.lock_owner = -1;
    next_call(world, who);
  }

  void next_call(World& world, std::size_t who) const {
    ++world.clients[who].call;
    begin_call(world, who);
  }

  const Scenario& scenario_;
};

}  // namespace model
