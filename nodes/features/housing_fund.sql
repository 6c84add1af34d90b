-- Housing fund features, one row per employer, as of the end of the day getvariable('as_of').
--
-- Reads   deposits (uscc, month, contributors, deposit_rate, due, paid, due_on, paid_on)
-- Uses    only months whose due date has come; a deposit made after the as-of date counts as not made.
-- Windows month_age counts months back from the as-of month: 0 is the as-of month, 0 to 11 the last twelve.
WITH months AS (
    SELECT
        uscc,
        date_diff('month', month, getvariable('as_of')) AS month_age,
        contributors,
        deposit_rate,
        coalesce(paid_on <= getvariable('as_of'), false) AS is_paid,
        greatest(date_diff('day', due_on, paid_on), 0) AS late_days
    FROM deposits
    WHERE due_on <= getvariable('as_of')
      AND date_diff('month', month, getvariable('as_of')) BETWEEN 0 AND 12
),

windows AS (
    SELECT
        uscc,
        max(contributors) FILTER (month_age = 0) AS contributors_now,
        max(contributors) FILTER (month_age = 12) AS contributors_12m,
        arg_min(deposit_rate, month_age) AS deposit_rate,         -- the latest rate on record
        count(*) FILTER (month_age < 12 AND NOT is_paid) AS missed_months,
        avg(late_days) FILTER (month_age < 12 AND is_paid) AS late_days_mean
    FROM months
    GROUP BY uscc
)

SELECT
    uscc,
    contributors_now AS contributors,
    -- relative change; unknown where the earlier month is not on record or had no contributor
    contributors_now / nullif(contributors_12m, 0) - 1 AS contributor_change_12m,
    deposit_rate,
    missed_months,
    late_days_mean                                                -- unknown where nothing was paid
FROM windows
ORDER BY uscc;
