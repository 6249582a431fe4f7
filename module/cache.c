/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/cache.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/*! Absolute: 1970. Not less: with serve-expired the iterator looks for a message at time 0, and
 * stores no failure over one that it finds then. */
#define PARKED_TTL 0
/*! Added to the RCODE of what is parked: Unbound serves no stale message with an RCODE that is not
 * NOERROR, NXDOMAIN or YXDOMAIN, whatever is set for its age. */
#define PARKED_RCODE 0x8

bool icp_is_judged_query(const struct query_info *qinfo)
{
	return qinfo->qclass == LDNS_RR_CLASS_IN &&
	       (icp_rdata_has_addresses(qinfo->qtype) || qinfo->qtype == LDNS_RR_TYPE_ANY);
}

bool icp_must_validate(const struct module_qstate *qstate)
{
	return qstate->env->need_to_validate &&
	       ((qstate->query_flags & BIT_CD) == 0 || qstate->env->cfg->ignore_cd);
}

bool icp_is_bogus(const struct module_qstate *qstate, const struct reply_info *rep)
{
	return rep->security == sec_status_bogus && icp_must_validate(qstate);
}

static hashvalue_type hash_of(struct module_qstate *qstate, const struct query_info *question)
{
	return query_info_hash((struct query_info *)question, qstate->query_flags);
}

/*! Whatever is cached for a question, though it has expired; locked for writing. */
static struct msgreply_entry *lookup_hashed(
	struct module_qstate *qstate, const struct query_info *question, hashvalue_type hash)
{
	struct lruhash_entry *entry =
		slabhash_lookup(qstate->env->msg_cache, hash, (void *)question, 1);
	return entry != NULL ? entry->key : NULL;
}

static struct msgreply_entry *lookup(
	struct module_qstate *qstate, const struct query_info *question)
{
	return lookup_hashed(qstate, question, hash_of(qstate, question));
}

/*!
 * Finds out when the first RRset of a message ends. False if they are no longer the message's. Once
 * an RRset of the answer has ended, Unbound takes whatever else it learns of the name, like glue of
 * the parent zone, and if the data is the same under the same identity: then the message has ended.
 */
static bool data_end(const struct reply_info *rep, time_t now, time_t *end)
{
	const time_t before = now - 1 - UB_LAST_SECOND;
	bool is_answered = true;
	struct rrset_ref *refs = ((struct reply_info *)rep)->ref;
	*end = 0;
	if (!rrset_array_lock(refs, rep->rrset_count, 0)) {
		return false;
	}
	for (size_t i = 0; i < rep->rrset_count; i++) {
		const struct packed_rrset_data *data = icp_rrset_data(rep->rrsets[i]);
		*end = i == 0 || data->ttl < *end ? data->ttl : *end;
		is_answered &= i >= rep->an_numrrsets || icp_rrset_is_answer(data);
	}
	rrset_array_unlock(refs, rep->rrset_count);
	if (!is_answered) {
		*end = rep->ttl < before ? rep->ttl : before;
	}
	return rep->rrset_count > 0;
}

static time_t stale_end(const struct module_qstate *qstate, time_t end)
{
	return end + qstate->env->cfg->serve_expired_ttl;
}

/*! Of the copy of what is no answer: so long is it served stale. */
static void cut_ttl(struct packed_rrset_data *data)
{
	bool is_answer = icp_rrset_is_answer(data);
	for (size_t i = 0; !is_answer && i < data->count + data->rrsig_count; i++) {
		if (data->rr_ttl[i] > SERVE_EXPIRED_REPLY_TTL) {
			data->rr_ttl[i] = SERVE_EXPIRED_REPLY_TTL;
		}
	}
}

/*! Copies a message though it has expired. Nobody else sees it while its entry is locked. */
static struct dns_msg *copy_message(
	struct module_qstate *qstate, struct msgreply_entry *entry, time_t end, bool is_stale)
{
	time_t now = *qstate->env->now;
	struct reply_info *rep = entry->entry.data;
	time_t ttl = rep->ttl;
	time_t serve_expired_ttl = rep->serve_expired_ttl;
	uint16_t flags = rep->flags;
	rep->flags &= ~PARKED_RCODE;
	rep->ttl = is_stale ? end : now + 1;
	rep->serve_expired_ttl = now + 1;
	struct dns_msg *msg = tomsg(
		qstate->env, &entry->key, rep, qstate->region, now, is_stale, qstate->env->scratch);
	rep->flags = flags;
	rep->ttl = ttl;
	rep->serve_expired_ttl = serve_expired_ttl;
	if (msg != NULL && !is_stale) {
		msg->rep->ttl = end - now;
	}
	for (size_t i = 0; msg != NULL && i < msg->rep->an_numrrsets; i++) {
		cut_ttl(msg->rep->rrsets[i]->entry.data);
	}
	return msg;
}

/*! RRsets are told apart by their key's place and id, which changes when the key stands for others.
 */
static uint64_t identity_of(const struct rrset_ref *refs, size_t count)
{
	return XXH3_64bits(refs, count * sizeof *refs);
}

/*! Fills all but message and refs. False if its data may not be served. */
static bool examine(struct module_qstate *qstate, const struct reply_info *rep,
	icp_cached_t *cached, time_t *end)
{
	time_t now = *qstate->env->now;
	/* A bogus message has no lease, but a life of its own, after which it is validated again.
	 */
	bool is_over = ub_is_expired(rep->ttl, now) && rep->security == sec_status_bogus;
	if (rep->an_numrrsets == 0 || is_over || !data_end(rep, now, end)) {
		return false;
	}
	cached->is_stale = ub_is_expired(*end, now);
	if (cached->is_stale &&
		(!qstate->env->cfg->serve_expired || ub_is_expired(stale_end(qstate, *end), now))) {
		return false;
	}
	cached->prefetch_due = qstate->env->cfg->prefetch && rep->prefetch_ttl <= now;
	cached->identity = identity_of(rep->ref, rep->rrset_count);
	return true;
}

/*! Fills message and refs. False: out of memory. */
static bool copy(struct module_qstate *qstate, struct msgreply_entry *entry, time_t end,
	icp_cached_t *cached)
{
	const struct reply_info *rep = entry->entry.data;
	cached->ref_count = rep->rrset_count;
	cached->refs = regional_alloc_init(
		qstate->region, rep->ref, rep->rrset_count * sizeof *cached->refs);
	cached->msg = copy_message(qstate, entry, end, cached->is_stale);
	return cached->refs != NULL && cached->msg != NULL;
}

static bool find(struct module_qstate *qstate, const struct query_info *question, bool copy_parked,
	icp_cached_t *cached)
{
	*cached = (icp_cached_t){.hash = hash_of(qstate, question)};
	struct msgreply_entry *entry = lookup_hashed(qstate, question, cached->hash);
	if (entry == NULL) {
		return false;
	}
	const struct reply_info *rep = entry->entry.data;
	time_t end;
	bool found = examine(qstate, rep, cached, &end);
	if (found && (copy_parked || rep->ttl != PARKED_TTL || cached->is_stale)) {
		found = copy(qstate, entry, end, cached);
	}
	lock_rw_unlock(&entry->entry.lock);
	return found;
}

bool icp_cache_find(
	struct module_qstate *qstate, const struct query_info *question, icp_cached_t *cached)
{
	return find(qstate, question, true, cached);
}

bool icp_cache_look(struct module_qstate *qstate, icp_cached_t *cached)
{
	return find(qstate, &qstate->qinfo, false, cached);
}

static bool is_same(const struct reply_info *rep, const icp_cached_t *cached)
{
	return rep->rrset_count == cached->ref_count &&
	       memcmp(rep->ref, cached->refs, cached->ref_count * sizeof *cached->refs) == 0;
}

void icp_cache_renew(struct module_qstate *qstate, const icp_cached_t *cached, time_t lease)
{
	time_t now = *qstate->env->now;
	struct msgreply_entry *entry = lookup_hashed(qstate, &qstate->qinfo, cached->hash);
	if (entry == NULL) {
		return;
	}
	struct reply_info *rep = entry->entry.data;
	time_t end;
	/* A bogus message has a life of its own. */
	if (rep->security != sec_status_bogus && is_same(rep, cached) && data_end(rep, now, &end)) {
		time_t lease_end = now + lease;
		rep->flags &= ~PARKED_RCODE;
		rep->ttl = end < lease_end ? end : lease_end;
		rep->serve_expired_ttl = rep->ttl;
		if (ub_is_expired(end, now)) {
			time_t last = stale_end(qstate, end);
			rep->serve_expired_ttl = last < lease_end ? last : lease_end;
		}
	}
	lock_rw_unlock(&entry->entry.lock);
}

void icp_cache_skip_recursion(struct module_qstate *qstate)
{
	struct msgreply_entry *entry = lookup(qstate, &qstate->qinfo);
	if (entry != NULL) {
		ub_skip_recursion(entry->entry.data, *qstate->env->now + NORR_TTL);
		lock_rw_unlock(&entry->entry.lock);
	}
}

void icp_cache_delay_prefetch(struct module_qstate *qstate)
{
	if (qstate->blacklist != NULL) {
		(void)dns_cache_prefetch_adjust(
			qstate->env, &qstate->qinfo, NORR_TTL, qstate->query_flags);
	}
}

/*! Only for judged types: for others, an iterator that fails would store SERVFAIL in its place. */
static uint16_t parked_rcode(const struct query_info *question)
{
	return icp_is_judged_query(question) ? PARKED_RCODE : 0;
}

static void park(const struct query_info *question, struct reply_info *rep)
{
	rep->flags |= parked_rcode(question);
	rep->ttl = PARKED_TTL;
	rep->serve_expired_ttl = PARKED_TTL;
}

void icp_cache_park(struct module_qstate *qstate)
{
	struct msgreply_entry *entry = lookup(qstate, &qstate->qinfo);
	if (entry != NULL) {
		park(&qstate->qinfo, entry->entry.data);
		lock_rw_unlock(&entry->entry.lock);
	}
}

/*! For slabhash_traverse, which holds the lock for writing. */
static void park_entry(struct lruhash_entry *entry, void *argument)
{
	(void)argument;
	struct reply_info *rep = entry->data;
	if (icp_read_leads(rep->rrsets, rep->rrset_count)) {
		park(&((struct msgreply_entry *)entry->key)->key, rep);
	}
}

void icp_cache_park_all(struct module_env *env)
{
	if (env->msg_cache != NULL) {
		slabhash_traverse(env->msg_cache, 1, park_entry, NULL);
	}
}

/*! How a new RRset relates to the one that is cached. */
enum relation {
	RELATION_NONE,     /*!< None is cached, or the same data. */
	RELATION_REPLACES, /*!< Its other data replaces what is cached and messages refer to. */
	RELATION_YIELDS,   /*!< Other data stays cached, as it is better trusted. */
};

static enum relation compare(struct module_qstate *qstate, const struct ub_packed_rrset_key *rrset)
{
	struct packed_rrset_data *new = rrset->entry.data;
	/* At time 0: one that has expired is updated in place too, and its messages live again. */
	struct ub_packed_rrset_key *cached =
		rrset_cache_lookup(qstate->env->rrset_cache, rrset->rk.dname, rrset->rk.dname_len,
			ntohs(rrset->rk.type), ntohs(rrset->rk.rrset_class), rrset->rk.flags, 0, 0);
	if (cached == NULL) {
		return RELATION_NONE;
	}
	struct packed_rrset_data *old = cached->entry.data;
	/* What Unbound puts in place of other data whatever it is trusted for. */
	bool is_better =
		(new->security == sec_status_secure && old->security != sec_status_secure) ||
		(new->security != sec_status_bogus && old->security == sec_status_bogus);
	bool is_over = ub_is_expired(old->ttl, *qstate->env->now + qstate->prefetch_leeway);
	bool stays = !is_over && !is_better && new->trust < old->trust;
	bool equal = rrsetdata_equal(new, old);
	lock_rw_unlock(&cached->entry.lock);
	return equal ? RELATION_NONE : stays ? RELATION_YIELDS : RELATION_REPLACES;
}

static void forget(struct module_qstate *qstate, const struct ub_packed_rrset_key *rrset)
{
	const struct packed_rrset_key *key = &rrset->rk;
	rrset_cache_remove(qstate->env->rrset_cache, key->dname, key->dname_len, ntohs(key->type),
		ntohs(key->rrset_class), key->flags);
}

bool icp_cache_forget_replaced(struct module_qstate *qstate, const struct reply_info *rep)
{
	bool yields = false;
	for (size_t i = 0; i < rep->rrset_count; i++) {
		if (!icp_rdata_has_addresses(icp_rrset_type(rep->rrsets[i]))) {
			continue;
		}
		enum relation relation = compare(qstate, rep->rrsets[i]);
		yields |= relation == RELATION_YIELDS;
		if (relation == RELATION_REPLACES) {
			forget(qstate, rep->rrsets[i]);
		}
	}
	return !yields;
}

void icp_cache_adopt(struct module_qstate *qstate, struct reply_info *rep)
{
	time_t now = *qstate->env->now;
	for (size_t i = 0; i < rep->rrset_count; i++) {
		const struct packed_rrset_key *key = &rep->rrsets[i]->rk;
		struct packed_rrset_data *new = rep->rrsets[i]->entry.data;
		struct ub_packed_rrset_key *cached =
			rrset_cache_lookup(qstate->env->rrset_cache, key->dname, key->dname_len,
				ntohs(key->type), ntohs(key->rrset_class), key->flags, now, 0);
		if (cached == NULL) {
			continue;
		}
		struct packed_rrset_data *old = cached->entry.data;
		struct ub_packed_rrset_key *copy = NULL;
		/* A prefetch renews what would have expired soon. */
		if (new->trust <= old->trust && rrsetdata_equal(new, old) &&
			!ub_is_expired(old->ttl, now + qstate->prefetch_leeway)) {
			copy = packed_rrset_copy_region(cached, qstate->region, now);
		}
		lock_rw_unlock(&cached->entry.lock);
		rep->rrsets[i] = copy != NULL ? copy : rep->rrsets[i];
	}
}

/*! Held from the look at what is cached until it is stored: what another thread stored and leased
 * in between would be updated in place. */
static pthread_mutex_t store_lock = PTHREAD_MUTEX_INITIALIZER;

void icp_cache_store(struct module_qstate *qstate, struct reply_info *rep)
{
	pthread_mutex_lock(&store_lock);
	(void)icp_cache_forget_replaced(qstate, rep);
	int stored = ub_cache_store(qstate, rep, 0);
	pthread_mutex_unlock(&store_lock);
	if (!stored) {
		log_err("icpgate: out of memory storing an answer");
	}
}

/*! Relative to now, as it is stored. */
static time_t parked_ttl(const struct module_qstate *qstate)
{
	return PARKED_TTL - *qstate->env->now;
}

/*! Stores a message whose life in the cache is not that of its data. A lease is not granted if the
 * message would refer to other addresses than were judged. */
static void store_with_ttl(struct module_qstate *qstate, struct reply_info *rep, time_t stored_ttl)
{
	time_t ttl = rep->ttl;
	time_t serve_expired_ttl = rep->serve_expired_ttl;
	pthread_mutex_lock(&store_lock);
	if (!icp_cache_forget_replaced(qstate, rep)) {
		stored_ttl = parked_ttl(qstate);
	}
	if (stored_ttl < 0) {
		/* An expired message that might still be served keeps Unbound from storing another.
		 */
		icp_cache_park(qstate);
		rep->flags |= parked_rcode(&qstate->qinfo);
	}
	rep->ttl = stored_ttl;
	rep->serve_expired_ttl = stored_ttl;
	int stored = ub_cache_store(qstate, rep, 0);
	pthread_mutex_unlock(&store_lock);
	rep->flags &= ~PARKED_RCODE;
	rep->ttl = ttl;
	rep->serve_expired_ttl = serve_expired_ttl;
	if (!stored) {
		log_err("icpgate: out of memory storing an answer");
	}
}

/*! For how long the data of a reply is valid. Its own TTL may say less: where the iterator took the
 * end of a chain of CNAMEs from the cache, that of this message is what was left of its lease, and
 * with none left Unbound would not store the reply at all. */
static time_t data_ttl(const struct module_qstate *qstate, const struct reply_info *rep)
{
	/* A bogus message has a life of its own. What the cache has for ANY, with whatever is
	 * there, has a TTL of 0: it is not to be stored. */
	if (rep->security == sec_status_bogus || rep->rrset_count == 0 ||
		qstate->qinfo.qtype == LDNS_RR_TYPE_ANY) {
		return rep->ttl;
	}
	time_t least = icp_rrset_data(rep->rrsets[0])->ttl;
	for (size_t i = 1; i < rep->rrset_count; i++) {
		time_t ttl = icp_rrset_data(rep->rrsets[i])->ttl;
		least = ttl < least ? ttl : least;
	}
	return least;
}

void icp_cache_store_leased(struct module_qstate *qstate, struct reply_info *rep, time_t lease)
{
	if (lease <= 0) {
		icp_cache_store_parked(qstate, rep);
		return;
	}
	time_t valid = data_ttl(qstate, rep);
	store_with_ttl(qstate, rep, valid < lease ? valid : lease);
	/* Where an RRset that stays in the cache ends sooner, Unbound has reckoned anew how long
	 * the message may be served expired. */
	struct msgreply_entry *entry = lookup(qstate, &qstate->qinfo);
	if (entry != NULL) {
		struct reply_info *stored = entry->entry.data;
		if (stored->an_numrrsets > 0 && stored->serve_expired_ttl > stored->ttl) {
			stored->serve_expired_ttl = stored->ttl;
		}
		lock_rw_unlock(&entry->entry.lock);
	}
}

void icp_cache_store_parked(struct module_qstate *qstate, struct reply_info *rep)
{
	store_with_ttl(qstate, rep, parked_ttl(qstate));
}

void icp_cache_store_rrsets(struct module_qstate *qstate, struct reply_info *rep)
{
	pthread_mutex_lock(&store_lock);
	(void)icp_cache_forget_replaced(qstate, rep);
	int stored = ub_cache_store(qstate, rep, 1);
	pthread_mutex_unlock(&store_lock);
	if (!stored) {
		log_err("icpgate: out of memory storing RRsets");
	}
}

void icp_cache_replace_rrsets(struct module_qstate *qstate, struct reply_info *rep)
{
	pthread_mutex_lock(&store_lock);
	for (size_t i = 0; i < rep->rrset_count; i++) {
		if (icp_rdata_has_addresses(icp_rrset_type(rep->rrsets[i]))) {
			forget(qstate, rep->rrsets[i]);
		}
	}
	(void)ub_cache_store(qstate, rep, 1);
	pthread_mutex_unlock(&store_lock);
}

bool icp_cache_has_answer(struct module_qstate *qstate)
{
	time_t now = *qstate->env->now;
	struct msgreply_entry *entry = lookup(qstate, &qstate->qinfo);
	if (entry == NULL) {
		return false;
	}
	const struct reply_info *rep = entry->entry.data;
	int rcode = FLAGS_GET_RCODE(rep->flags) & ~PARKED_RCODE;
	bool good = rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN;
	bool expired = ub_is_expired(rep->ttl, now);
	lock_rw_unlock(&entry->entry.lock);
	return good && (!expired || qstate->env->cfg->serve_expired);
}

void icp_cache_store_failure(struct module_qstate *qstate)
{
	struct reply_info failure = {
		.flags = BIT_QR | BIT_RA | LDNS_RCODE_SERVFAIL,
		.qdcount = 1,
		.ttl = NORR_TTL,
		.prefetch_ttl = PREFETCH_TTL_CALC(NORR_TTL),
		.serve_expired_ttl = NORR_TTL,
		.security = sec_status_indeterminate,
	};
	(void)ub_cache_store(qstate, &failure, 0);
}
