// Package redis is the shared store.Store: any number of processes on one Redis of version 7.0 or later, standalone, with
// Sentinel or as a Cluster. It owns the keys below a prefix, the Lua scripts, and the goroutines that send commands, serve
// claims, listen to channels and remove expired records; Close ends them. It is opened by package main and used through
// store.Store; errors of the server are *Fault, whose Kind callers may branch on. It imports package store alone and calls
// one hook, Options.Warn. Everything that must be atomic is one Lua script, so a commit is one round trip.
//
//	Commit, Get, …  ──▶ lane of the shard ──▶ one pipeline of all queued calls ──▶ scripts ──▶ answers
//	Claim ──▶ queue of the kind in this process ──▶ claim.lua after a hint, at a wake's time or at the next poll ──▶ leases
//	Watch ◀── commits of this process, and the shard's channel for those of others
//
// # Layout
//
// The keys of one partition are in one shard, which is a hash tag: {rp:00} and so on, where "rp" is the prefix. A single
// server has one shard by default, a Cluster 16; the number is stored at first use. A kind contains no ":", and a part that
// may contain any bytes comes last, so no key is ambiguous.
//
//	{rp}:about                  format and number of shards
//	{rp:00}:r:KIND:ID           hash: version, value, terms, expiry, checksum (sum.go), trace of the batch
//	{rp:00}:l:KIND:ID           list: the log
//	{rp:00}:i:KIND              the IDs of the kind's records, in order
//	{rp:00}:t:KIND:TERM         the IDs of those with the term
//	{rp:00}:x                   records by when they expire
//	{rp:00}:w:KIND              wakes by ID, leased or not
//	{rp:00}:e:KIND, o:KIND      leases: when they expire; token and owner, also of the last lease of a key if it was not released
//	{rp:00}:a:KIND:P            wakes of one priority without a lease, by time
//	{rp:00}:q:KIND:P:FAIRNESS   those of one fairness key
//	{rp:00}:n:KIND:P            fairness keys without a due wake, by when their first one is due
//	{rp:00}:g:KIND:P            fairness keys with a due wake, in the order of their turns
//	{rp:00}:v:KIND              virtual time and finish tags of the priorities
//	{rp:00}:c                   channel of the shard
//	rate:{rp:00}:b:KEY          a limit, kept by redis_rate
//
// A wake that is not due costs only memory: a claim looks at the fairness keys that became due, never at every key, and each
// step takes logarithmic time.
//
// # Consistency
//
// Redis runs one script at a time, so each script sees and leaves a consistent state of its shard. The server's TIME is the
// only clock: it decides which records and leases have expired and what is due. The caller's clock matters only for Wake.At.
//
// A commit whose answer was lost may have happened. If a put of the batch names the version that it replaces, the batch is
// sent again, marked as a resend: the record keeps a trace of the batch that wrote it last, by which the script recognizes
// that it was already written and repeats the answer. If the trace does not match, the error is that of the first try: a
// conflict is never returned for what the batch itself may have written. Batches without such a put are never sent twice.
//
// While a node of a Cluster is down, calls to its shards fail, and so do those that ask all shards: List and Queue. Claims
// and renewals of the other shards continue.
//
// # Durability
//
// Fast is as durable as the server is configured: with appendfsync everysec, a crash of its machine may lose a second of
// writes, and a failover those that the replica had not received. With Strict, the answer to a batch with Sync waits until the
// write is on disk (appendfsync always, or WAITAOF from 7.2 on) or on a replica (WAIT); with Sentinels, and in a Cluster with
// replicas, always on a replica too. All such batches of one pipeline share the wait. One replica is enough: of several,
// Sentinels and Clusters promote the one that has received most among those that they can reach. Open determines what the
// server supports and whether a Cluster has replicas: all servers of a deployment must be configured alike, and the replicas
// must be connected by then.
//
// # Limits
//
// A slot must not be moved to another node of a Cluster while replicas of the runtime are running: during the move Redis
// serves some keys of the slot and not others. Stop the replicas, move the slot, start them.
package redis
