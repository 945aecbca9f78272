#pragma once
// The model of a store with one key, and of the provider. The store applies a write, and makes it durable at
// once or, with group commit, in a later step of its own.

#include "invariants.hpp"

namespace model::store {

inline void make_durable(const Scenario& scenario, World& world, const Record& record, const Writer& writer) {
  invariant::durable_write(scenario, world, record, writer);
  world.store.durable = record;
}

inline void write(const Scenario& scenario, World& world, const Record& record, const Writer& writer) {
  world.store.staged = record;
  if (scenario.group_commit) {
    world.store.dirty = true;
    world.store.dirty_writer = writer;
  } else {
    make_durable(scenario, world, record, writer);
  }
}

/// Whether an operation that writes, or one that reads, has to wait for a commit first.
inline bool write_waits(const World& world) { return world.store.dirty; }
inline bool read_waits(const World& world) { return world.store.dirty; }
inline bool reply_waits(const World& world, const Reply& reply) {
  const bool wrote = reply.kind == Reply::Kind::inserted ? !reply.record : reply.stored;
  return wrote && world.store.dirty;
}
/// Whether a handle whose commit failed refuses everything.
inline bool refuses(const World& world) { return world.store.poisoned; }

inline std::optional<Record> find(const World& world) { return world.store.staged; }

/// What is there instead, or null when it was stored.
inline std::optional<Record> insert(const Scenario& scenario, World& world, const Record& record,
                                    const Writer& writer) {
  if (world.store.staged) return world.store.staged;
  write(scenario, world, record, writer);
  return std::nullopt;
}

inline bool replace(const Scenario& scenario, World& world, Version expected, const Record& record,
                    const Writer& writer) {
  if (!world.store.staged || world.store.staged->version != expected) return false;
  write(scenario, world, record, writer);
  return true;
}

inline void commit(const Scenario& scenario, World& world) {
  world.store.dirty = false;
  make_durable(scenario, world, *world.store.staged, world.store.dirty_writer);
}

inline void fail_commit(World& world) {
  world.store.poisoned = true;
  world.store.dirty = false;
  world.store.staged = world.store.durable;
}

inline void reopen(World& world) {
  world.store.poisoned = false;
  world.store.dirty = false;
  world.store.staged = world.store.durable;
}

inline bool may_sweep(const World& world) {
  return world.store.staged && !world.store.dirty && protocol::expired(*world.store.staged, world.now);
}

/// The second half of a sweep: tests again and erases in one atomic step. A write that has been under way for
/// a whole retention is taken to be lost: no transport keeps it that long.
inline void sweep(World& world) {
  world.store.sweeping = false;
  if (!may_sweep(world)) return;
  invariant::erased(world, *world.store.durable);
  world.store.durable.reset();
  world.store.staged.reset();
  world.network.clear();
}

/// A delayed write arrives: still conditional.
inline void land(const Scenario& scenario, World& world, std::size_t which) {
  const Delayed late = world.network[which];
  world.network.erase(world.network.begin() + static_cast<std::ptrdiff_t>(which));
  if (late.insert)
    insert(scenario, world, late.record, late.writer);
  else
    replace(scenario, world, late.expected, late.record, late.writer);
}

inline bool holder_gone(const Scenario& scenario, const World& world, const std::optional<Record>& record) {
  return scenario.holder_aware && record && record->state == State::in_progress &&
         invariant::holder_is_dead(world, *record);
}

}  // namespace model::store

namespace model::provider {

/// For how long it knows a provider key: a little longer than promised, for attempts that began in time.
inline bool remembers(const Scenario& scenario, const World& world, Timestamp payment) {
  return scenario.deduplicates() && world.now < payment + provider_remembers + lease;
}

inline void process(const Scenario& scenario, World& world, std::size_t which, bool accept) {
  Request& request = world.requests[which];
  Entry* entry = find_payment(world.ledger, request.payment);
  if (!entry) entry = &world.ledger.emplace_back(Entry{.payment = request.payment});
  const bool known = remembers(scenario, world, request.payment) && entry->knows(request.key);
  if (known) {
    request.fate = entry->charges > 0 ? Request::Fate::charged : Request::Fate::declined;
  } else if (world.now >= request.deadline) {
    request.fate = Request::Fate::too_late;
  } else if (accept) {
    entry->keys.push_back(request.key);
    entry->charges += 1;
    request.fate = Request::Fate::charged;
    invariant::charged(world, *entry);
  } else {
    entry->keys.push_back(request.key);
    entry->declines += 1;
    request.fate = Request::Fate::declined;
  }
}

/// What an honest provider, asked what became of a payment, answers: proof, or that it does not know.
inline Report truth(const World& world, Timestamp payment) {
  const Entry entry = entry_of(world, payment);
  if (entry.charges > 0) return Report::succeeded;
  if (may_yet_charge(world, payment)) return Report::in_doubt;
  return entry.declines > 0 ? Report::declined : Report::not_executed;
}

}  // namespace model::provider
