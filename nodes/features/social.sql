-- Social insurance features, one row per employer, as of the end of the day getvariable('as_of').
--
-- Reads   contributions (uscc, month, headcount, joiners, leavers, contribution_base, due, paid, due_on, paid_on)
--         employers     (uscc, registered_on)
-- Uses    only months whose due date has come; a contribution paid after the as-of date counts as unpaid.
-- Windows month_age counts months back from the as-of month: 0 is the as-of month, 0 to 11 the last twelve.
WITH months AS (
    SELECT
        uscc,
        date_diff('month', month, getvariable('as_of')) AS month_age,
        headcount,
        joiners,
        leavers,
        contribution_base,
        -- in arrears: that day has come, and the contribution was still unpaid thirty days after its due date
        due > 0 AND due_on + 30 <= getvariable('as_of') AND (paid_on IS NULL OR paid_on > due_on + 30) AS is_arrears
    FROM contributions
    WHERE due_on <= getvariable('as_of')
      AND date_diff('month', month, getvariable('as_of')) BETWEEN 0 AND 23
),

windows AS (
    SELECT
        uscc,
        max(headcount) FILTER (month_age = 0) AS headcount_now,
        max(headcount) FILTER (month_age = 6) AS headcount_6m,
        max(headcount) FILTER (month_age = 12) AS headcount_12m,
        count(*) FILTER (month_age < 12 AND is_arrears) AS contribution_arrears_months,
        sum(contribution_base * headcount) FILTER (month_age < 12)
            / nullif(sum(headcount) FILTER (month_age < 12 AND contribution_base IS NOT NULL), 0)
            AS contribution_base_mean,
        sum(leavers) FILTER (month_age < 12) AS leavers_12m,
        avg(headcount) FILTER (month_age < 12) AS headcount_mean
    FROM months
    GROUP BY uscc
)

SELECT
    e.uscc,
    w.headcount_now AS insured_headcount,
    -- relative change; unknown where the earlier month is not on record or nobody was insured then
    w.headcount_now / nullif(w.headcount_6m, 0) - 1 AS headcount_change_6m,
    w.headcount_now / nullif(w.headcount_12m, 0) - 1 AS headcount_change_12m,
    w.contribution_arrears_months,
    w.contribution_base_mean,
    w.leavers_12m / nullif(w.headcount_mean, 0) AS turnover_12m,
    date_diff('month', e.registered_on, getvariable('as_of')) AS insured_months
FROM employers AS e
LEFT JOIN windows AS w USING (uscc)
WHERE e.registered_on <= getvariable('as_of')
ORDER BY e.uscc;
