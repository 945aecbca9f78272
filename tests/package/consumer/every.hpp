#pragma once
// Every header of every component that this build asked for, and with them the standard ones used here.
#include <core.hpp>
#ifdef WITH_money
#include <money.hpp>
#endif
#ifdef WITH_json
#include <json.hpp>
#endif
#ifdef WITH_httplib
#include <httplib.hpp>
#endif
#ifdef WITH_sqlite
#include <sqlite.hpp>
#endif
#ifdef WITH_postgres
#include <postgres.hpp>
#endif
#ifdef WITH_redis
#include <redis.hpp>
#endif
#ifdef WITH_rabbitmq
#include <rabbitmq.hpp>
#endif
#ifdef WITH_orders
#include <orders.hpp>
#endif
#ifdef WITH_orders_sqlite
#include <orders_sqlite.hpp>
#endif
#ifdef WITH_orders_postgres
#include <orders_postgres.hpp>
#endif
#ifdef WITH_testing
#include <testing.hpp>
#endif

#include <system_error>
