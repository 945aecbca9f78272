#include "every.hpp"

std::error_code full_in_two() { return paidonce::errc::store_full; }

paidonce::Fingerprint fingerprint_in_two() { return paidonce::fingerprint("order-1001", "4.50", "EUR"); }
