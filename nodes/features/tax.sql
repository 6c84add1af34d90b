-- Tax features, one row per enterprise, as of the end of the day getvariable('as_of').
--
-- Reads   vat_declarations (uscc, period, sales, tax_due, due_on, filed_on, paid_on, invoice_count,
--                           invoice_void_count, top5_buyer_share)
--         credit_grades    (uscc, year, grade, published_on)
-- Uses    only what was on file that day: a declaration filed later counts as not filed, a payment made later as
--         not made, a grade published later as unknown. A period enters once its due date has come.
-- Windows period_age counts months back from the as-of month: declarations fall due in the month after their
--         period, so ages 1 to 12 are the last twelve months and 13 to 24 the twelve before.
WITH declarations AS (
    SELECT
        uscc,
        date_diff('month', period, getvariable('as_of')) AS period_age,
        filed_on <= getvariable('as_of') AS is_filed,             -- NULL: never filed
        filed_on > due_on OR filed_on IS NULL AS is_late,         -- also when filed after the as-of date
        sales,
        tax_due,
        paid_on IS NULL OR paid_on > getvariable('as_of') AS is_unpaid,
        date_diff('day', due_on, least(coalesce(paid_on, getvariable('as_of')), getvariable('as_of'))) AS days_owed,
        invoice_count,
        invoice_void_count,
        top5_buyer_share
    FROM vat_declarations
    WHERE due_on <= getvariable('as_of')
      AND date_diff('month', period, getvariable('as_of')) BETWEEN 1 AND 24
),

windows AS (
    SELECT
        uscc,
        sum(sales) FILTER (period_age <= 12 AND is_filed) AS sales_now,
        sum(sales) FILTER (period_age > 12 AND is_filed) AS sales_before,
        count(sales) FILTER (period_age <= 12 AND is_filed) AS periods_now,
        count(sales) FILTER (period_age > 12 AND is_filed) AS periods_before,
        avg(sales) FILTER (period_age <= 12 AND is_filed) AS sales_mean,
        stddev_pop(sales) FILTER (period_age <= 12 AND is_filed) AS sales_deviation,
        count(*) FILTER (period_age <= 12 AND is_filed AND sales = 0) AS zero_filing_periods,
        count(*) FILTER (period_age <= 12 AND is_late) AS late_filing_count,
        coalesce(sum(tax_due) FILTER (is_filed AND is_unpaid), 0) AS tax_arrears_amount,
        greatest(0, coalesce(max(days_owed) FILTER (is_filed AND tax_due > 0), 0)) AS arrears_days_max,
        sum(invoice_count) FILTER (period_age <= 12 AND is_filed) AS invoices,
        sum(invoice_void_count) FILTER (period_age <= 12 AND is_filed) AS invoices_void,
        sum(top5_buyer_share * sales) FILTER (period_age <= 12 AND is_filed) AS sales_to_top5,
        sum(sales) FILTER (period_age <= 12 AND is_filed AND top5_buyer_share IS NOT NULL) AS sales_with_share
    FROM declarations
    GROUP BY uscc
),

latest_grade AS (
    SELECT uscc, arg_max(grade, year) AS grade
    FROM credit_grades
    WHERE published_on <= getvariable('as_of')
    GROUP BY uscc
),

enterprises AS (
    SELECT uscc FROM windows
    UNION
    SELECT uscc FROM latest_grade
)

SELECT
    e.uscc,
    w.sales_now AS vat_sales_12m,
    -- growth on the twelve months before; unknown unless both windows are fully filed and the earlier one had sales
    CASE WHEN w.periods_now = 12 AND w.periods_before = 12
         THEN w.sales_now / nullif(w.sales_before, 0) - 1 END AS vat_sales_yoy,
    w.sales_deviation / nullif(w.sales_mean, 0) AS vat_sales_cv,
    w.zero_filing_periods,
    w.late_filing_count,
    w.tax_arrears_amount,
    w.arrears_days_max,
    g.grade AS tax_credit_grade,
    w.invoices_void / nullif(w.invoices, 0) AS invoice_void_ratio,
    w.sales_to_top5 / nullif(w.sales_with_share, 0) AS top5_buyer_share
FROM enterprises AS e
LEFT JOIN windows AS w USING (uscc)
LEFT JOIN latest_grade AS g USING (uscc)
ORDER BY e.uscc;
