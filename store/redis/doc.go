// Package redis is the shared store: any number of processes on one Redis, from 7.0 on, standalone, behind Sentinel or as
// a Cluster. Everything that must be atomic is one Lua script, so that a commit is one trip and Redis itself is the lock.
//
//	Commit, Get, …  ──▶ lane of the shard ──▶ one pipeline of all calls that wait ──▶ scripts ──▶ answers
//	Claim ──▶ queue of the kind in this process ──▶ claim.lua when a hint, a timer or the poll says so ──▶ leases
//	Watch ◀── commits of this process, and the shard's channel for those of others
//
// # Layout
//
// The keys of one partition lie in one shard, which is a hash tag: {rp:00} and so on, "rp" being the prefix. A server alone
// has one shard, a Cluster 16; the number is written down at first use. keys.go lists every key. A kind holds no ":", and
// whatever may be any bytes stands last, so no key aliases another.
//
//	{rp}:about                  format and number of shards
//	{rp:00}:r:KIND:ID           hash: version, value, terms, expiry, trace of the batch
//	{rp:00}:l:KIND:ID           list: the log
//	{rp:00}:i:KIND              the IDs of the kind's records, in order
//	{rp:00}:t:KIND:TERM         the IDs of those with the term
//	{rp:00}:x                   expiries, to be swept
//	{rp:00}:w:KIND              wakes by ID, leased or not
//	{rp:00}:e:KIND, o:KIND      leases: when they lapse; token and owner
//	{rp:00}:a:KIND:P            wakes of one priority that nobody leases, by time
//	{rp:00}:q:KIND:P:FAIRNESS   those of one fairness key
//	{rp:00}:n:KIND:P            fairness keys by when their first wake is due
//	{rp:00}:g:KIND:P            fairness keys with something due, in the order of their turns
//	{rp:00}:v:KIND              virtual time and tags of the priorities
//	{rp:00}:c                   channel of the shard
//	rate:{rp:00}:b:KEY          a limit, kept by redis_rate
//
// A sleeping wake costs memory and nothing else: a claim looks at the fairness keys that became due, never at keys one by
// one, and every step is logarithmic.
//
// # Consistency
//
// Redis runs one script at a time, so each verb sees and leaves a whole state of its shard. TIME of the server is the only
// clock: it decides what expired, what is due and which lease lives. The caller's clock enters only through Wake.At.
//
// A commit whose answer was lost may have happened. Where a put of the batch names the version that it replaces, the batch is
// sent again, marked as such: the record keeps a trace of the batch that wrote it last, by which the script knows its own work and
// repeats the answer. When that cannot tell, the error is that of the first try; a conflict is never reported for what
// may be the batch's own doing. Batches without such a put are never sent twice.
//
// While a node of a Cluster is away, what touches its shards fails, and so does what asks all of them: List and Queue. Claims and renewals of
// the other shards go on.
//
// # Durability
//
// Fast is what the server is configured for: with appendfsync everysec a crash of its machine may lose a second, a
// failover what the replica had not yet received. Strict adds, for a batch with Sync, that the answer waits until the write is on disk
// (appendfsync always, or WAITAOF from 7.2 on) or on a replica (WAIT), behind Sentinels and in a Cluster with replicas always on a replica too;
// all such batches of one pipeline share the wait. One replica is enough: of several, Sentinels and Clusters promote the one that has most,
// of those that they see. What the server can do, and whether a Cluster has replicas, is asked at Open: all servers of a deployment must be configured
// alike, and the replicas be there by then.
//
// # Limits
//
// A slot must not be moved to another node of a Cluster while replicas of the runtime are at work: during the move Redis
// answers for some keys of the slot and not for others. Stop them, move, start them.
package redis
