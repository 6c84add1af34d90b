-- The bank's label and features, one row per enterprise of its cohort, as of the end of the day getvariable('as_of').
--
-- Reads   loans          (uscc, loan_id, drawn_on, principal)
--         loan_months    (uscc, loan_id, month_on_book, observed_on, days_past_due)
--         accounts       (uscc, opened_on)
--         account_months (uscc, month, inflow, outflow, bounced, credit_limit, drawn, days_past_due)
-- Cohort  the first loan each enterprise drew after the as-of date, once its outcome is known.
-- Label   1: more than 90 days past due within 12 months of the draw-down.
--         0: never 30 days past due in those 12 months, all of them observed.
--         Neither (30 to 90 days, or not yet twelve months old): left out of the cohort.
-- Uses    for features, only account months that had ended by the as-of date. An enterprise with a loan but no
--         account history here keeps its label and has NULL features.
WITH first_loan AS (
    SELECT uscc, arg_min(loan_id, (drawn_on, loan_id)) AS loan_id, min(drawn_on) AS drawn_on
    FROM loans
    WHERE drawn_on > getvariable('as_of')
    GROUP BY uscc
),

repayment AS (
    SELECT
        f.uscc,
        max(m.days_past_due) AS worst,
        max(m.month_on_book) AS months_observed
    FROM first_loan AS f
    JOIN loan_months AS m USING (uscc, loan_id)
    WHERE m.month_on_book <= 12
    GROUP BY f.uscc
),

cohort AS (
    SELECT uscc, (worst > 90)::INTEGER AS default_12m
    FROM repayment
    WHERE worst > 90 OR (worst < 30 AND months_observed = 12)
),

months AS (
    SELECT
        uscc,
        date_diff('month', month, getvariable('as_of')) AS month_age,
        inflow,
        outflow,
        bounced,
        drawn / nullif(credit_limit, 0) AS used,
        days_past_due
    FROM account_months
    WHERE last_day(month) <= getvariable('as_of')
      AND date_diff('month', month, getvariable('as_of')) BETWEEN 0 AND 23
),

windows AS (
    SELECT
        uscc,
        max(days_past_due) AS max_dpd_24m,
        avg(used) FILTER (month_age < 3) AS utilisation,          -- unknown without a credit line
        CASE WHEN count(*) FILTER (month_age < 3) = 3
             THEN avg(inflow - outflow) FILTER (month_age < 3) END AS net_inflow_3m_mean,
        CASE WHEN count(inflow) FILTER (month_age < 12) = 12 AND count(inflow) FILTER (month_age >= 12) = 12
             THEN sum(inflow) FILTER (month_age < 12) / nullif(sum(inflow) FILTER (month_age >= 12), 0) - 1
        END AS inflow_yoy,
        sum(bounced) FILTER (month_age < 12) AS bounced_count
    FROM months
    GROUP BY uscc
),

relationship AS (
    SELECT uscc, date_diff('month', min(opened_on), getvariable('as_of')) AS relationship_months
    FROM accounts
    WHERE opened_on <= getvariable('as_of')
    GROUP BY uscc
)

SELECT
    c.uscc,
    w.max_dpd_24m,
    w.utilisation,
    w.net_inflow_3m_mean,
    w.inflow_yoy,
    w.bounced_count,
    r.relationship_months,
    c.default_12m
FROM cohort AS c
LEFT JOIN windows AS w USING (uscc)
LEFT JOIN relationship AS r USING (uscc)
ORDER BY c.uscc;
