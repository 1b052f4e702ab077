/*
 * managed_apply.c: server-side apply; see managed_fields.h.
 *
 * An apply is four steps, each on a value of its own, so that a refused one has changed nothing:
 *   1. lay the config over the live object;
 *   2. take out what this manager applied before, gives no longer, and no one else owns;
 *   3. whoever else owns a field that changes thereby is in the way, unless the apply is forced;
 *   4. note the config's fields as the manager's.
 *
 * kubectl has a second way, the client-side apply, which keeps the config in an annotation. Where
 * the manager is "kubectl", what that annotation gave is no conflict, and it is kept up to date.
 */
#include "managed_entries.h"

#include <string.h>

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

struct apply {
    const struct field_writer *writer;
    struct structure structure;
    struct json_object *live;    /* borrowed; NULL: the object is made */
    struct json_object *config;  /* decoded */
    struct json_object *entries; /* of the live object */
    struct json_object *before;  /* fields of this manager's last apply; NULL: it is the first */
    struct json_object *fields;  /* fields of the config; with those that nobody owns, as the name,
                                    until the merged object is pruned: they must not go */
    struct json_object *merged;
};

/* --- the config ------------------------------------------------------------------------------- */

/* Messages name the core group by what is before its slash. */
static const char *core_slash(const char *version) {
    return strchr(version, '/') == NULL ? "/" : "";
}

static void refuse_typed(const struct apply *apply, struct json_object *config, const char *why,
                         struct outcome *failure) {
    struct json_object *metadata = json_member(config, "metadata");
    const char *namespace = json_member_text(metadata, "namespace");
    const char *version = apply->writer->api_version;
    outcome_fail(failure, 400, "BadRequest",
                 "failed to create typed patch object (%.63s/%.253s; %s%s, Kind=%s): %.600s",
                 namespace, json_member_text(metadata, "name"), core_slash(version), version,
                 apply->writer->schema->go_name, why);
}

/* The config as the schema has it. What the server would not keep is refused, not dropped: its
 * manager would own a field that does not exist. */
static bool read_config(struct apply *apply, struct json_object *config, struct outcome *failure) {
    struct text problem = {0};
    struct text unknown = {0};
    apply->config = schema_decode(apply->writer->schema, config, &unknown, &problem);
    if (apply->config != NULL) {
        json_object_put(fields_of(&apply->structure, config, &problem));
        text_add(&problem, problem.size == 0 && unknown.size > 0 ? unknown.data : "");
    }
    bool usable = problem.size == 0;
    if (!usable) {
        refuse_typed(apply, config, problem.data, failure);
    } else if (json_at(config, "metadata", "managedFields", NULL) != NULL) {
        outcome_fail(failure, 400, "BadRequest", "metadata.managedFields must be nil");
        usable = false;
    }
    text_clear(&problem);
    text_clear(&unknown);
    return usable;
}

static bool check_kind(const struct field_writer *writer, struct json_object *config,
                       struct outcome *failure) {
    const char *version = json_member_text(config, "apiVersion");
    const char *kind = json_member_text(config, "kind");
    if (strcmp(kind, writer->schema->go_name) == 0 && strcmp(version, writer->api_version) == 0) {
        return true;
    }
    outcome_fail(failure, 400, "BadRequest", "invalid object type: %s%.253s, Kind=%.63s",
                 core_slash(version), version, kind);
    return false;
}

/* --- what is no longer given ------------------------------------------------------------------ */

static struct json_object *fields_and_parents(const struct apply *apply,
                                              struct json_object *value) {
    struct json_object *fields = fields_of(&apply->structure, value, NULL);
    struct json_object *out = fields_with_parents(&apply->structure, fields);
    json_object_put(fields);
    return out;
}

static struct json_object *all_owned(const struct apply *apply) {
    struct json_object *all = json_object_get(apply->fields);
    struct json_object *own = entry_find(apply->entries, apply->writer, "Apply");
    for (size_t i = 0; i < json_length(apply->entries); i++) {
        struct json_object *entry = json_object_array_get_idx(apply->entries, i);
        if (entry != own) {
            struct json_object *more = field_set_combine(SET_UNION, all, entry_fields(entry));
            json_object_put(all);
            all = more;
        }
    }
    struct json_object *out = fields_with_parents(&apply->structure, all);
    json_object_put(all);
    return out;
}

/* The merged object without all of this manager's last fields, then with those again that somebody
 * owns. What it lacks against the merged object is what may go. */
static struct json_object *fields_that_stay(const struct apply *apply, struct json_object *last,
                                            struct json_object *present) {
    struct json_object *bare = fields_remove(&apply->structure, apply->merged, last);
    struct json_object *bare_fields = fields_and_parents(apply, bare);
    struct json_object *owned = all_owned(apply);
    struct json_object *staying = field_set_combine(SET_UNION, bare_fields, owned);
    struct json_object *going = field_set_combine(SET_DIFFERENCE, present, staying);
    struct json_object *pruned = fields_remove(&apply->structure, apply->merged, going);
    struct json_object *out = fields_and_parents(apply, pruned);
    json_object_put(bare);
    json_object_put(bare_fields);
    json_object_put(owned);
    json_object_put(staying);
    json_object_put(going);
    json_object_put(pruned);
    return out;
}

/* Only what the manager itself gave before is taken out: what nobody owns, as what the server
 * chose, stays. */
static void prune(struct apply *apply) {
    if (field_set_is_empty(apply->before)) {
        return;
    }
    struct json_object *last = fields_with_parents(&apply->structure, apply->before);
    struct json_object *present = fields_and_parents(apply, apply->merged);
    struct json_object *staying = fields_that_stay(apply, last, present);
    struct json_object *gone = field_set_combine(SET_DIFFERENCE, present, staying);
    struct json_object *going = field_set_combine(SET_INTERSECTION, gone, last);
    struct json_object *pruned = fields_remove(&apply->structure, apply->merged, going);
    json_object_put(apply->merged);
    apply->merged = pruned != NULL ? pruned : json_object_new_object();
    json_object_put(last);
    json_object_put(present);
    json_object_put(staying);
    json_object_put(gone);
    json_object_put(going);
}

/* --- conflicts -------------------------------------------------------------------------------- */

/* The manager as kubectl shows it. */
static void add_manager(struct text *out, struct json_object *entry) {
    const char *subresource = json_member_text(entry, "subresource");
    text_format(out, "\"%s\"", json_member_text(entry, "manager"));
    if (subresource[0] != '\0') {
        text_format(out, " with subresource \"%s\"", subresource);
    }
    if (strcmp(json_member_text(entry, "operation"), "Update") == 0) {
        text_format(out, " using %s", json_member_text(entry, "apiVersion"));
    }
}

struct conflicts {
    struct json_object *entry; /* whose fields are being listed */
    struct json_object *causes;
    struct text list; /* "conflicts with M:\n- PATH\n- PATH" */
    struct text only; /* "conflict with M: PATH" of the last one */
};

static void note_conflict(void *context, const char *path) {
    struct conflicts *conflicts = context;
    struct text message = {0};
    struct json_object *cause = json_object_new_object();
    text_add(&message, "conflict with ");
    add_manager(&message, conflicts->entry);
    json_set_text(cause, "reason", "FieldManagerConflict");
    json_set_text(cause, "message", message.data);
    json_set_text(cause, "field", path);
    json_object_array_add(conflicts->causes, cause);
    text_clear(&conflicts->only);
    text_format(&conflicts->only, "%s: %s", message.data, path);
    text_format(&conflicts->list, "\n- %s", path);
    text_clear(&message);
}

/* The set of an entry's fields that the apply changes, less those in `allowed`. */
static struct json_object *contested(struct json_object *entry, const struct comparison *change,
                                     struct json_object *allowed) {
    struct json_object *changed = field_set_combine(SET_UNION, change->modified, change->added);
    struct json_object *owned = field_set_combine(SET_INTERSECTION, entry_fields(entry), changed);
    struct json_object *out = field_set_combine(SET_DIFFERENCE, owned, allowed);
    json_object_put(changed);
    json_object_put(owned);
    return out;
}

static void list_conflicts(const struct apply *apply, const struct comparison *change,
                           struct json_object *allowed, struct conflicts *conflicts) {
    struct json_object *own = entry_find(apply->entries, apply->writer, "Apply");
    for (size_t i = 0; i < json_length(apply->entries); i++) {
        conflicts->entry = json_object_array_get_idx(apply->entries, i);
        struct json_object *set = contested(conflicts->entry, change, allowed);
        if (conflicts->entry != own && !field_set_is_empty(set)) {
            text_format(&conflicts->list, "%sconflicts with ",
                        conflicts->list.size > 0 ? "\n" : "");
            add_manager(&conflicts->list, conflicts->entry);
            text_add(&conflicts->list, ":");
            field_set_each(set, note_conflict, conflicts);
        }
        json_object_put(set);
    }
}

/* What the client-side apply gave and what is still so: kubectl may take it over. */
static struct json_object *allowed_to_kubectl(const struct apply *apply) {
    struct json_object *annotations = json_at(apply->live, "metadata", "annotations", NULL);
    const char *line = json_member_text(annotations, LAST_APPLIED);
    if (strcmp(apply->writer->manager, "kubectl") != 0 || line[0] == '\0') {
        return NULL;
    }
    struct text ignored = {0};
    struct json_object *value = json_parse(line, strlen(line), &ignored);
    struct json_object *last =
        value != NULL ? schema_decode(apply->writer->schema, value, &ignored, &ignored) : NULL;
    struct json_object *allowed = NULL;
    if (last != NULL) {
        struct comparison since = fields_compare(&apply->structure, last, apply->live);
        struct json_object *given = fields_of(&apply->structure, last, NULL);
        struct json_object *kept = field_set_combine(SET_DIFFERENCE, given, since.modified);
        allowed = field_set_combine(SET_DIFFERENCE, kept, since.removed);
        json_object_put(given);
        json_object_put(kept);
        comparison_clear(&since);
    }
    json_object_put(last);
    json_object_put(value);
    text_clear(&ignored);
    return allowed;
}

/* Nobody else owns what the apply changes, or it may be taken over. */
static bool may_change(const struct apply *apply, const struct comparison *change,
                       struct outcome *failure) {
    struct json_object *allowed = allowed_to_kubectl(apply);
    struct conflicts conflicts = {.causes = json_object_new_array()};
    if (!apply->writer->force) {
        list_conflicts(apply, change, allowed, &conflicts);
    }
    size_t count = json_length(conflicts.causes);
    if (count > 0) {
        struct text message = {0};
        text_format(&message, "Apply failed with %zu conflict%s: %s", count, count > 1 ? "s" : "",
                    count > 1 ? conflicts.list.data : conflicts.only.data);
        outcome_causes(failure, 409, "Conflict", message.data, conflicts.causes);
        text_clear(&message);
    } else {
        json_object_put(conflicts.causes);
    }
    text_clear(&conflicts.list);
    text_clear(&conflicts.only);
    json_object_put(allowed);
    return count == 0;
}

/* --- the apply -------------------------------------------------------------------------------- */

/* The annotation of the client-side apply, where there is one, says what kubectl applied last. */
static void keep_last_applied(const struct apply *apply) {
    struct json_object *annotations = json_at(apply->merged, "metadata", "annotations", NULL);
    if (strcmp(apply->writer->manager, "kubectl") != 0 ||
        json_member_text(annotations, LAST_APPLIED)[0] == '\0') {
        return;
    }
    struct json_object *sorted = json_sorted(apply->config);
    struct text line = {0};
    struct json_object *given = json_at(sorted, "metadata", "annotations", NULL);
    if (given != NULL) {
        json_remove(given, LAST_APPLIED);
    }
    text_format(&line, "%s\n", json_line(sorted, NULL));
    json_set_text(annotations, LAST_APPLIED, line.data);
    text_clear(&line);
    json_object_put(sorted);
}

static bool is_same_set(struct json_object *a, struct json_object *b) {
    return a != NULL && b != NULL && json_object_equal(a, b) != 0;
}

/* Steps three and four; the entries go into the merged object. */
static bool own_fields(struct apply *apply, struct outcome *failure) {
    struct comparison change = writer_compare(apply->writer, apply->live, apply->merged);
    bool allowed = may_change(apply, &change, failure);
    if (allowed) {
        apply->fields = fields_owned(apply->fields);
        struct json_object *own = entry_ensure(apply->entries, apply->writer, "Apply");
        bool unchanged = field_set_is_empty(change.removed) &&
                         field_set_is_empty(change.modified) && field_set_is_empty(change.added);
        bool same = unchanged && is_same_set(apply->before, apply->fields);
        entries_disown(apply->entries, own, &change);
        entry_set(own, apply->writer, json_object_get(apply->fields), !same);
        keep_last_applied(apply);
        entries_write(json_object_get(apply->entries), apply->merged);
    }
    comparison_clear(&change);
    return allowed;
}

static void lay_over(struct apply *apply) {
    struct json_object *none = json_object_new_object();
    struct json_object *live = apply->live != NULL ? apply->live : none;
    struct json_object *given = fields_of(&apply->structure, apply->config, NULL);
    apply->fields = writer_without_reset(apply->writer, given);
    apply->merged = fields_merge(&apply->structure, live, apply->config);
    json_object_put(given);
    json_object_put(none);
}

/* Who owned what before. Of an object that has no owners, all is somebody's. */
static void read_owners(struct apply *apply) {
    apply->entries = entries_read(apply->live, apply->writer->api_version);
    if (apply->entries == NULL) {
        apply->entries = json_object_new_array();
    }
    if (json_length(apply->entries) == 0 && apply->live != NULL) {
        entries_begin(apply->entries, apply->writer, "before-first-apply", apply->live);
    }
    struct json_object *own = entry_find(apply->entries, apply->writer, "Apply");
    apply->before = json_object_get(entry_fields(own));
}

struct json_object *managed_fields_apply(const struct field_writer *writer,
                                         struct json_object *current, struct json_object *config,
                                         struct outcome *failure) {
    struct apply apply = {
        .writer = writer, .structure = structure_of(writer->schema), .live = current};
    struct json_object *out = NULL;
    if (check_kind(writer, config, failure) && read_config(&apply, config, failure)) {
        read_owners(&apply);
        lay_over(&apply);
        prune(&apply);
        if (own_fields(&apply, failure)) {
            out = json_object_get(apply.merged);
        }
    }
    json_object_put(apply.config);
    json_object_put(apply.entries);
    json_object_put(apply.before);
    json_object_put(apply.fields);
    json_object_put(apply.merged);
    return out;
}
