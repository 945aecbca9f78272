#pragma once
// What is wrong with a store that is wrong on purpose.

namespace conformance {

enum class Flaw {
  none,
  // the three operations
  insert_overwrites,
  insert_checks_then_sets,
  insert_tells_all_stored,
  insert_returns_half,
  insert_forgets,
  replace_unconditional,
  replace_checks_then_sets,
  replace_inserts_absent,
  replace_acknowledges_nothing,
  replace_compares_32_bits,
  replace_ignores_what_is_newer,
  store_numbers_versions,
  find_lags_behind,
  find_creates,
  torn_writes,
  // records
  fingerprint_lost,
  fingerprint_lost_on_completion,
  empty_fields_keep_the_old,
  texts_end_at_nul,
  ids_are_doubles,
  times_in_seconds,
  // keys
  scope_ignored,
  scope_joined_with_a_colon,
  keys_end_at_nul,
  keys_fold_case,
  keys_are_trimmed,
  keys_are_cut,
  keys_compared_by_hash,
  // errors and room
  errors_as_absent,
  errors_as_stored,
  errors_as_conflict,
  errors_tell_the_key,
  evicts_unfinished,
  evicts_completed,
  full_says_stored,
  full_refuses_replace,
  // sweeps
  sweep_checks_then_erases,
  sweep_erases_nothing,
  sweep_erases_in_progress,
  sweep_erases_in_doubt,
  sweep_erases_checkpoints,
  sweep_is_early,
  sweep_is_late,
  sweep_ignores_limit,
  sweep_counts_what_it_looked_at,
  sweep_leaves_a_ghost,
  // scans
  scan_ignores_states,
  scan_ignores_time,
  scan_ignores_limit,
  scan_ignores_stop,
  scan_repeats_last,
  scan_continues_by_count,
  scan_shows_old_versions,
  scan_goes_by_first_states,
  // handles
  reopen_forgets_last,
  reopen_forgets_replaces,
  reopen_forgets_erasure,
  handle_caches,
  holder_always_gone,
  reopen_takes_holders_for_gone,
  // transactions
  transaction_keeps_on_throw,
  transaction_swallows,
  transaction_is_dirty,
  transaction_forgets,
  transaction_overwrites,
};

}  // namespace conformance
