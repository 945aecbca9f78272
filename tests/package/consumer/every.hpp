#pragma once
// Every header of every component that this build asked for, and with them the standard ones used here.
#include <core.hpp>
#ifdef WITH_money
#include <money.hpp>
#endif
#ifdef WITH_json
#include <json.hpp>
#endif
#ifdef WITH_testing
#include <testing.hpp>
#endif

#include <system_error>
